"""Why a model has its categories: the panel on its page, in words that a person can check."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from discovery.engine.classify.describe import RULES_SOURCE
from discovery.engine.core.vocabulary import family_name
from discovery.models import RegisteredModel
from discovery.services.registry.records import resolve
from discovery.web.shared.evidence_words import evidence
from tests.support.page_text import page_text

Make = Callable[..., RegisteredModel]


def item(rule: str, matched: str, where: str, weight: float = 1.0) -> dict[str, Any]:
    return {"rule": rule, "matched": matched, "where": where, "weight": weight}


def decided(
    record: RegisteredModel,
    axis: str,
    value: Any,
    *items: dict[str, Any],
    source: str = RULES_SOURCE,
) -> None:
    record.extracted[axis] = {"value": value, "source": source}
    record.evidence[axis] = list(items)
    resolve(record)
    record.save()


def panel(client: Client, model_id: str = "tiny-model") -> str:
    html = page_text(client.get(f"/models/{model_id}/"))
    return " ".join(html.split('aria-labelledby="why"')[1].split("</section>")[0].split())


@pytest.mark.parametrize(
    ("rule", "matched", "where", "words"),
    [
        ("keywords", "chat", "name", "“chat” in the name"),
        ("keywords", "math", "card", "“math” in the card"),
        ("keywords", "llama", "base model", "“llama” in the base model’s name"),
        (
            "architectures *ForCausalLM",
            "LlamaForCausalLM",
            "class name",
            "class name LlamaForCausalLM",
        ),
        ("model_types", "clip", "model type", "model type clip"),
        ("pipeline_tags", "text-generation", "pipeline_tag", "pipeline_tag text-generation"),
        ("tags", "roleplay", "tags", "tag “roleplay”"),
        ("file_patterns *.onnx", "model.onnx", "file name", "file model.onnx"),
        ("signals", "chat_template", "tokenizer_config.json", "a chat template"),
        ("signals", "library:setfit", "README.md library_name", "the library setfit"),
        ("modalities", "text → text", "what goes in and out", "takes text, gives text"),
        (
            "modalities",
            "image, text → vectors or labels",
            "what goes in and out",
            "takes image and text, gives vectors or labels",
        ),
        ("modalities", "– → image", "what goes in and out", "gives image"),
        ("something new", "x", "y", "x"),
    ],
)
def test_evidence_reads_as_people_say_it(rule: str, matched: str, where: str, words: str) -> None:
    assert evidence(rule, matched, where) == words


def test_each_verdict_stands_with_what_speaks_for_it(
    admin_client: Client, make_model: Make
) -> None:
    record = make_model()
    decided(
        record,
        "primary",
        "LANGUAGE",
        item("modalities", "text → text", "what goes in and out", 10.0),
    )
    decided(
        record,
        "secondary",
        "CHAT",
        item("signals", "chat_template", "tokenizer_config.json", 4.0),
        item("keywords", "chat", "name", 2.4),
    )
    decided(record, "specialization", "GENERAL")
    decided(record, "input_modalities", ["TEXT"], source="config.json architectures")
    decided(record, "output_modalities", ["TEXT"], source="config.json architectures")
    decided(
        record,
        "modalities",
        ["TEXT"],
        item("text → text", "LlamaForCausalLM", "config.json architectures"),
        source="config.json architectures",
    )
    html = panel(admin_client)
    assert '<span class="chip cat cat-language">Language</span>' in html
    assert (
        '<span class="break">takes text, gives text</span><span class="num faint" title="How much'
        ' it counts">10</span>' in html
    )
    assert 'a chat template <span class="faint mono">tokenizer_config.json</span>' in html
    assert "“chat” in the name" in html
    assert "no domain rule matched" in html
    assert '<span class="chip">text → text</span>' in html
    assert 'LlamaForCausalLM <span class="faint mono">config.json architectures</span>' in html


def test_two_rules_that_match_the_same_are_one_reason(
    admin_client: Client, make_model: Make
) -> None:
    same = item("modalities", "image, text → text", "what goes in and out", 70.0)
    decided(make_model(), "primary", "MULTIMODAL", same, same)
    html = panel(admin_client)
    assert html.count("takes image and text, gives text") == 1
    assert ">140</span>" in html


def test_without_a_verdict_the_panel_says_so(admin_client: Client, make_model: Make) -> None:
    make_model()
    html = panel(admin_client)
    assert html.count("No rule found enough to say") == 3
    assert "no category" in html
    assert "Nothing in the files says what goes in or out" in html


def test_what_a_person_decided_says_who_and_what_the_rules_say(
    admin_client: Client, make_model: Make
) -> None:
    record = make_model()
    record.curated["secondary"] = {"value": "CODE", "by": "anna", "at": "2026-01-01T00:00:00Z"}
    decided(record, "secondary", "CHAT", item("keywords", "chat", "name"))
    html = panel(admin_client)
    assert '<span class="chip">Code</span>' in html
    assert "decided by anna" in html
    assert "the rules say Chat" in html
    assert "“chat”" not in html


def test_what_metadata_json_states_says_so(admin_client: Client, make_model: Make) -> None:
    decided(make_model(), "primary", "AUDIO", source="metadata.json")
    assert 'stated <span class="faint mono">metadata.json</span>' in panel(admin_client)


def test_the_head_and_the_facts_say_modalities_and_names_in_words(
    admin_client: Client, make_model: Make
) -> None:
    values = {
        "input_modalities": ["TEXT", "IMAGE"], "output_modalities": ["TEXT"],
        "modalities": ["TEXT", "IMAGE"], "capabilities": ["TOOL_USE", "CHAT"],
        "model_family": "bert", "base_model_relation": "finetune",
    }  # fmt: skip
    make_model(extracted=values)
    html = page_text(admin_client.get("/models/tiny-model/"))
    assert '<span class="chip">text, image → text</span>' in html.split('class="tabs"')[0]
    for label, shown in (
        ("Modalities", "Text, image → text"),
        ("Capabilities", "Tool use, Chat"),
        ("Family", "BERT"),
        ("Relation to base", "Fine-tune"),
    ):
        assert re.search(rf"<dt>{label}</dt><dd><bdi>{shown}</bdi>", html), label
    assert "<dt>Input</dt>" not in html


def test_modalities_that_a_person_named_are_shown_as_they_named_them(
    admin_client: Client, make_model: Make
) -> None:
    record = make_model(
        extracted={
            "input_modalities": ["TEXT"],
            "output_modalities": ["TEXT"],
            "modalities": ["TEXT"],
        }
    )
    record.curated["modalities"] = {
        "value": ["TEXT", "AUDIO"],
        "by": "anna",
        "at": "2026-01-01T00:00:00Z",
    }
    record.save()
    html = panel(admin_client)
    assert '<span class="chip">text, audio</span>' in html
    assert "decided by anna" in html


@pytest.mark.parametrize(
    ("family", "shown"),
    [("llama", "Llama"), ("gpt", "GPT"), ("Llama 3", "Llama 3"), ("vit", "ViT")],
)
def test_families_are_written_as_people_write_them(family: str, shown: str) -> None:
    assert family_name(family) == shown


def test_hostile_evidence_stays_text(admin_client: Client, make_model: Make) -> None:
    decided(
        make_model(),
        "primary",
        "LANGUAGE",
        item("architectures", "<script>alert(1)</script>", "class name"),
    )
    assert "<script>" not in panel(admin_client)


def test_the_panel_asks_the_database_for_nothing(admin_client: Client, make_model: Make) -> None:
    record = make_model()
    panel(admin_client)  # what is asked once a process or a change is asked here
    with CaptureQueriesContext(connection) as without:
        panel(admin_client)
    decided(record, "primary", "LANGUAGE", *[item("keywords", f"w{n}", "name") for n in range(6)])
    panel(admin_client)
    with CaptureQueriesContext(connection) as with_reasons:
        panel(admin_client)
    assert len(with_reasons) == len(without)
