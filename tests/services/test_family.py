"""Who a model comes from and what comes from it, by the words that models use for each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User

from discovery.models import RegisteredModel, Visibility
from discovery.services.insight import lineage
from discovery.services.insight.lineage import Relative

Make = Callable[..., RegisteredModel]


def names(relatives: tuple[Relative, ...]) -> list[str]:
    return [each.name for each in relatives]


def derived(
    make: Make, name: str, base: str, relation: str = "finetune", **columns: Any
) -> RegisteredModel:
    return make(name, base_model=base, extracted={"base_model_relation": relation}, **columns)


@pytest.mark.parametrize(
    "spelling",
    [
        "meta-llama/Llama-3.2-3B",
        "Llama-3.2-3B",
        "llama-3.2-3b",
        "../models/Llama-3.2-3B/",
        "C:\\m\\Llama-3.2-3B",
    ],
)
def test_a_base_is_found_however_it_is_spelled(
    spelling: str, admin_user: User, make_model: Make
) -> None:
    base = make_model("Llama-3.2-3B")
    child = derived(make_model, "tuned", spelling)
    (found,) = lineage.family(child, admin_user).ancestors
    assert (found.record, found.relation) == (base, "finetune")


def test_a_whole_name_beats_its_last_part(admin_user: User, make_model: Make) -> None:
    make_model("name", model_id="other", path="a")
    exact = make_model("org/name", path="b", model_id="exact")
    assert (
        lineage.family(derived(make_model, "tuned", "org/name"), admin_user).ancestors[0].record
        == exact
    )


def test_a_base_that_is_not_here_is_told_by_its_name(admin_user: User, make_model: Make) -> None:
    (found,) = lineage.family(derived(make_model, "tuned", "google/gemma-2b"), admin_user).ancestors
    assert (found.name, found.record) == ("google/gemma-2b", None)


def test_bases_of_bases_are_followed_and_circles_are_not(
    admin_user: User, make_model: Make
) -> None:
    derived(make_model, "a", "org/b")
    derived(make_model, "b", "c")
    c = derived(make_model, "c", "a")
    assert names(lineage.family(c, admin_user).ancestors) == ["a", "b"]
    alone = derived(make_model, "alone", "alone")
    assert lineage.family(alone, admin_user).children == ()


def test_what_names_it_as_its_base_comes_from_it(admin_user: User, make_model: Make) -> None:
    base = make_model("llama", author="meta")
    for name, spelling, relation in (
        ("x", "llama", "finetune"),
        ("y", "someone/llama", "adapter"),
        ("z", "meta/llama", "quantized"),
    ):
        derived(make_model, name, spelling, relation)
    derived(make_model, "other", "someone/codellama")
    assert {each.name: each.relation for each in lineage.family(base, admin_user).children} == {
        "x": "finetune",
        "y": "adapter",
        "z": "quantized",
    }


def test_models_of_the_same_base_are_siblings(admin_user: User, make_model: Make) -> None:
    one, two = derived(make_model, "one", "org/base"), derived(make_model, "two", "org/base")
    told = lineage.family(one, admin_user)
    assert [each.record for each in told.siblings] == [two]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Llama-3.1-8B", "llama-3.1-8b-GGUF", True),
        ("Llama-3.1-8B", "Llama-3.1-8B.Q4_K_M.gguf", True),
        ("org/Llama-3.1-8B-AWQ-4bit", "Llama-3.1-8B", True),
        ("Llama-3.1-8B", "Llama-3.1-8B-Instruct", False),
        ("Llama-3.1-8B", "Llama-3.1-70B", False),
        ("模型-7b", "模型-7b-gguf", True),
    ],
)
def test_names_that_differ_in_words_for_formats_alone_are_one_model(
    one: str, other: str, same: bool, admin_user: User, make_model: Make
) -> None:
    assert (lineage.same_model(one) == lineage.same_model(other)) is same
    first = make_model(one, model_id="one")
    make_model(other, model_id="other", extracted={"format": "gguf", "type": "LLAMA_CPP"})
    assert names(lineage.family(first, admin_user).formats) == ([other] if same else [])


def test_nobody_hears_of_relatives_they_may_not_see(user: User, make_model: Make) -> None:
    make_model("base")
    record = derived(make_model, "tuned", "base", visibility=Visibility.PUBLIC)
    derived(make_model, "secret-child", "tuned")
    derived(make_model, "secret-sibling", "base")
    make_model("tuned-gguf", extracted={"format": "gguf"})
    told = lineage.family(record, user)
    assert [(each.name, each.record) for each in told.ancestors] == [("base", None)]
    assert told.children == told.siblings == told.formats == ()


def test_only_adapters_ask_for_their_whole_base(admin_user: User, make_model: Make) -> None:
    base = make_model("base")
    assert (
        lineage.base_of(
            make_model("lora", base_model="base", extracted={"type": "PEFT"}), admin_user
        )
        == base
    )
    assert lineage.base_of(derived(make_model, "tuned", "base"), admin_user) is None


@pytest.mark.parametrize("base", ["/", "..", "x" * 300, "<b>", "a\\b/", "٣"])
def test_odd_names_of_bases_break_nothing(base: str, admin_user: User, make_model: Make) -> None:
    assert len(lineage.family(derived(make_model, "tuned", base), admin_user).ancestors) == 1


def test_a_large_family_is_cut(
    admin_user: User, make_model: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lineage, "MAX_EACH", 3)
    base = make_model("base")
    for number in range(5):
        derived(make_model, f"child{number}", "base")
    assert len(lineage.family(base, admin_user).children) == 3
