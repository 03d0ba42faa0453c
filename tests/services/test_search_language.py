"""What people type into the search box, and what is made of it."""

from __future__ import annotations

import pytest

from discovery.services.search.search_language import Named, Phrase, Range, parse

BILLION, GIGABYTE = 10**9, 10**9


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", ()),
        ("Llama chat", (Phrase("llama"), Phrase("chat"))),
        ('"support Bot" -old', (Phrase("support bot"), Phrase("old", negated=True))),
        ('-"very old"', (Phrase("very old", negated=True),)),
        ("license:apache-2.0", (Named("license", "apache-2.0"),)),
        ("-tag:old", (Named("tag", "old", negated=True),)),
        ('tag:"to review"', (Named("tag", "to review"),)),
        ("arch:Llama*", (Named("architecture", "Llama*"),)),
        ("type:llama.cpp", (Named("type", "LLAMA_CPP"),)),
        ("STATUS:Ready", (Named("status", "READY"),)),
        ('capability:"image generation"', (Named("capability", "IMAGE_GENERATION"),)),
        ("fits:memory", (Named("fits", "memory"),)),
        ("license:None", (Named("license", "none"),)),
        ("params:>7b", (Range("params", at_least=7 * BILLION + 1),)),
        ("params:>=7B", (Range("params", at_least=7 * BILLION),)),
        ("params:<1.5b", (Range("params", at_most=1_500_000_000 - 1),)),
        ("params:7b..13b", (Range("params", 7 * BILLION, 13 * BILLION),)),
        ("params:7b", (Range("params", 6_500_000_000, 7_499_999_999),)),
        ("params:0.5b", (Range("params", 450_000_000, 549_999_999),)),
        ("params:124439808", (Range("params", 124_439_808, 124_439_808),)),
        ("size:<10gb", (Range("size", at_most=10 * GIGABYTE - 1),)),
        ("size:..4GiB", (Range("size", at_most=4 << 30),)),
        ("context:>=32k", (Range("context", at_least=32_000),)),
        ("context:>32k", (Range("context", at_least=32_769),)),
        ("context:<=32k", (Range("context", at_most=32_768),)),
        ("context:<32k", (Range("context", at_most=31_999),)),
        ("context:32k", (Range("context", 31_500, 33_279),)),
        ("memory:<=24gib", (Range("memory", at_most=24 << 30),)),
        ("-params:>7b", (Range("params", at_least=7 * BILLION + 1, negated=True),)),
        ("qwen2.5:7b", (Phrase("qwen2.5:7b"),)),
        ('"mistral:7b"', (Phrase("mistral:7b"),)),
        ("llama llama", (Phrase("llama"),)),
        ("模型 مرحبا Ünï", (Phrase("模型"), Phrase("مرحبا"), Phrase("ünï"))),
    ],
)
def test_terms_are_understood(text: str, terms: tuple[object, ...]) -> None:
    assert parse(text) == (terms, ())


@pytest.mark.parametrize(
    ("text", "term", "reason"),
    [
        ("params:>", "params:>", "needs a number: params:>7b"),
        ("params:", "params:", "needs a number"),
        ("params:>big", "params:>big", "“big” is not a number with one of the units k, m, b, t"),
        ("params:>7", "params:>7", "“7” needs a unit"),
        ("size:<10", "size:<10", "needs a unit, one of b, kb"),
        ("size:<10potatoes", "size:<10potatoes", "is not a number"),
        ("context:>=32kb", "context:>=32kb", "one of the units k, m"),
        ("params:7b..x", "params:7b..x", "“x” is not a number"),
        ("params:>-5b", "params:>-5b", "is not a number"),
        ("colour:red", "colour:red", "there is no field “colour”"),
        ("mistral:7b", "mistral:7b", 'put them in quotation marks: "mistral:7b"'),
        (
            "status:fine",
            "status:fine",
            "“fine” is not one of ready, incomplete, corrupt, unsafe, missing, remote, none",
        ),
        ("license:", "license:", "license:none for what has none"),
        ('llama "never closed', '"never closed', "never closed"),
        ("llama -", "-", "nothing after the minus"),
        ('""', '""', "nothing between the quotation marks"),
        (" ".join(f"w{n}" for n in range(21)), "w20", "more than 20 terms"),
    ],
)
def test_what_is_not_understood_says_why(text: str, term: str, reason: str) -> None:
    _, faults = parse(text)
    assert len(faults) == 1
    assert faults[0].term.endswith(term)
    assert reason in faults[0].reason


def test_the_rest_of_a_search_with_a_fault_is_still_read() -> None:
    terms, faults = parse("llama params:>x license:mit")
    assert terms == (Phrase("llama"), Named("license", "mit"))
    assert [fault.term for fault in faults] == ["params:>x"]


@pytest.mark.parametrize(
    "text",
    ["params:>999999999999999t", "size:<999999999999999tib", "params:999999999999999.999999t"],
)
def test_numbers_past_what_databases_hold_are_capped(text: str) -> None:
    (term,), _ = parse(text)
    assert isinstance(term, Range)
    assert all(bound is None or bound < 2**63 for bound in (term.at_least, term.at_most))
