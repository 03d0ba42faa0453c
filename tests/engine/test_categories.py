"""What goes in and out, which category follows, and why: structure first, whole words last, nothing
without evidence.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from discovery import engine
from discovery.engine.classify.categorize import Categorizer
from discovery.engine.classify.describe import (
    capabilities,
    categorized,
    family,
    license_name,
    relation,
)
from discovery.engine.classify.modality import detect
from discovery.engine.classify.rules import CategorizationFile, CategorizationRules
from discovery.engine.classify.signals import SignalCollector, Signals
from discovery.engine.core.types import Found
from discovery.engine.core.word_parts import without_negations, words
from discovery.services.core.config_files import SHIPPED_RULES
from tests.support import builders

Read = Callable[..., dict[str, Found]]

SHIPPED = Categorizer(
    CategorizationFile.model_validate(json.loads(SHIPPED_RULES.read_text())).categorization_rules
)


def signals(
    name: str = "",
    config: dict[str, Any] | None = None,
    description: str = "",
    tags: list[str] | None = None,
    task: str = "",
    **features: str,
) -> Signals:
    clues = SignalCollector()
    if config:
        clues.config(config, "config.json")
    clues.card({"pipeline_tag": task, "tags": tags or []}, None, "")
    for mark, where in features.items():
        clues.add_feature(mark.replace("__", ":"), where)
    return clues.finish(name, name, description, None, ())


def verdicts(told: Signals) -> dict[str, str | None]:
    seen = detect(told)
    return {
        axis: verdict.value
        for axis, verdict in SHIPPED.verdicts(told, seen.inputs, seen.outputs).items()
    }


@pytest.mark.parametrize(
    ("text", "has", "has_not"),
    [
        ("resnet50", "resnet50", "t5"),
        ("whisper-medium", "medium", "med"),
        ("bert-decoder", "decoder", "code"),
        ("MedNLLB-200", "med", "mednllb200"),
        ("pubmedbert-abbrev", "pubmed", "sql"),
        ("codellama-7b", "code", "ode"),
        ("supervision-qa", "supervision", "vision"),
        ("context-window", "context", "text"),
        ("illegal-logging", "illegal", "legal"),
        ("LlamaForCausalLM", "llama", "la"),
        ("vits-encodec-history", "encodec", "story"),
    ],
)
def test_words_are_whole(text: str, has: str, has_not: str) -> None:
    assert has in words(text)
    assert has_not not in words(text)


def test_what_is_denied_does_not_count() -> None:
    assert "tuning" not in words(
        without_negations("Plain decoder. No instruction tuning. It is not a chat model.")
    )
    assert "plain" in words(without_negations("Plain decoder. No instruction tuning."))


@pytest.mark.parametrize(
    ("told", "inputs", "outputs"),
    [
        (
            signals(
                config={
                    "architectures": ["LlamaForCausalLM"],
                    "model_type": "llama",
                    "vocab_size": 1,
                }
            ),
            {"TEXT"},
            {"TEXT"},
        ),
        (
            signals(
                config={
                    "architectures": ["BertForTokenClassification"],
                    "model_type": "bert",
                    "vocab_size": 1,
                }
            ),
            {"TEXT"},
            set(),
        ),
        (
            signals(config={"model_type": "qwen2_vl", "vision_config": {"depth": 1}}),
            {"TEXT", "IMAGE", "VIDEO"},
            {"TEXT"},
        ),
        (
            signals(
                config={
                    "architectures": ["NewVLForCausalLM"],
                    "model_type": "new",
                    "vision_config": {"a": 1},
                    "vocab_size": 1,
                }
            ),
            {"TEXT", "IMAGE"},
            {"TEXT"},
        ),
        (
            signals(
                config={
                    "architectures": ["ViTForImageClassification"],
                    "model_type": "vit",
                    "image_size": 224,
                }
            ),
            {"IMAGE"},
            set(),
        ),
        (signals(config={"model_type": "whisper", "num_mel_bins": 80}), {"AUDIO"}, {"TEXT"}),
        (
            signals(
                config={
                    "architectures": ["ASTModel"],
                    "model_type": "audio-spectrogram-transformer",
                }
            ),
            {"AUDIO"},
            set(),
        ),
        (
            signals(
                config={
                    "architectures": ["FancyAsrForConditionalGeneration"],
                    "model_type": "fancy",
                }
            ),
            {"AUDIO"},
            {"TEXT"},
        ),
        (
            signals(
                config={"model_type": "clip", "vision_config": {"a": 1}, "text_config": {"a": 1}}
            ),
            {"TEXT", "IMAGE"},
            set(),
        ),
        (signals(task="text-to-video"), {"TEXT"}, {"VIDEO"}),
        (
            signals("orpheus-tts", {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}),
            {"TEXT"},
            {"TEXT", "AUDIO"},
        ),
        (
            signals(
                "speechless-7b", {"architectures": ["LlamaForCausalLM"], "model_type": "llama"}
            ),
            {"TEXT"},
            {"TEXT"},
        ),
        (
            signals(input__AUDIO="input_features [1, 80, 3000]", input__TEXT="decoder_input_ids"),
            {"AUDIO"},
            {"TEXT"},
        ),
        (signals(input__IMAGE="data [1, 3, 224, 224]"), {"IMAGE"}, set()),
        (signals(), set(), set()),
    ],
)
def test_modalities_come_from_structure_then_words(
    told: Signals, inputs: set[str], outputs: set[str]
) -> None:
    found = detect(told)
    assert (found.inputs, found.outputs) == (inputs, outputs)
    assert bool(found.evidence) == bool(inputs | outputs)


def test_no_text_of_the_engine_was_wrapped_inside_a_word() -> None:
    """Tables of names are texts with spaces between them: a name that is cut at its hyphen makes
    two that do not exist.
    """
    folder = Path(engine.__file__).parent
    cut = [
        f"{path.relative_to(folder)}:{node.lineno}: {word}"
        for path in sorted(folder.rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        for word in node.value.split()
        if re.search(r"^[a-z]\w*(-\w+)*-$|^-[a-z]\w*$", word) and len(node.value.split()) > 1
    ]
    assert cut == []


@pytest.mark.parametrize(
    ("told", "primary", "secondary", "specialization"),
    [
        (signals("llama-2-7b-chat", {"architectures": ["LlamaForCausalLM"]}), "LANGUAGE", "CHAT",
            "GENERAL"),
        (signals("llama-2-7b", {"architectures": ["LlamaForCausalLM"]}), "LANGUAGE", None,
            "GENERAL"),
        (signals("starcoder-15b", {"architectures": ["GPTBigCodeForCausalLM"]}), "LANGUAGE", "CODE",
            "TECHNICAL"),
        (signals("bert-decoder", {"architectures": ["GPT2LMHeadModel"]}), "LANGUAGE", None,
            "GENERAL"),
        (signals("mathbert-embed", {"architectures": ["BertModel"]},
                sentence_transformers="modules.json"), "LANGUAGE", "ANALYSIS", "GENERAL"),
        (signals("legal-bert", {"architectures": ["BertForMaskedLM"]}, tags=["legal"]), "LANGUAGE",
            None, "LEGAL"),
        (signals("segmenter", {"architectures": ["SegformerForSemanticSegmentation"]},
                tags=["legal liability"]), "VISION", "ANALYSIS", "GENERAL"),
        (signals("whisper-medium", {"model_type": "whisper"}), "AUDIO", "ANALYSIS", "GENERAL"),
        (signals("illegal-logging",
                {"architectures": ["ViTForImageClassification"], "model_type": "vit"}), "VISION",
                "ANALYSIS", "GENERAL"),
        (signals("", {}, task="text-to-image"), "VISION", "CREATIVE", "GENERAL"),
        (signals("", {}, task="text-to-speech"), "AUDIO", "CREATIVE", "GENERAL"),
        (signals("x", {"model_type": "llava", "vision_config": {"a": 1}}), "MULTIMODAL", "CHAT",
            "GENERAL"),
        (signals(), None, None, "GENERAL"),
    ],
)  # fmt: skip
def test_the_shipped_rules_on_well_known_kinds(
    told: Signals, primary: str | None, secondary: str | None, specialization: str
) -> None:
    assert verdicts(told) == {
        "primary": primary,
        "secondary": secondary,
        "specialization": specialization,
    }


def test_every_verdict_has_evidence_that_a_person_can_check(models_root: Path, read: Read) -> None:
    builders.transformers(models_root / "tiny-llama-chat", chat=True)
    builders.transformers(models_root / "vit", family="vit")
    builders.diffusers(models_root / "sdxl")
    builders.sentence_transformers(models_root / "embedder")
    builders.gguf_folder(models_root / "m-GGUF", stem="m")
    for found in read(models_root).values():
        done = categorized(found, SHIPPED)
        for axis in ("primary", "secondary", "specialization"):
            value = done.values[axis].value if axis in done.values else None
            assert value in (None, "GENERAL") or done.evidence[axis]
            assert all(
                item.rule and item.matched and item.where and item.weight > 0
                for item in done.evidence[axis]
            )
        assert done.evidence["modalities"]


def test_what_metadata_json_states_is_left_as_it_is(models_root: Path, read: Read) -> None:
    builders.transformers(models_root / "m")
    builders.write_json(
        models_root / "m" / "metadata.json",
        {"modalities": ["text", "image"], "capabilities": ["chat"]},
    )
    done = categorized(read(models_root)["m"], SHIPPED)
    assert done.values["modalities"] == (["TEXT", "IMAGE"], "metadata.json")
    assert done.values["capabilities"] == (["CHAT"], "metadata.json")


def rules(**sections: Any) -> CategorizationRules:
    return CategorizationFile.model_validate(
        {"categorization_rules": sections}
    ).categorization_rules


def test_the_guide_s_rules_are_accepted_as_they_stand() -> None:
    accepted = rules(
        primary_category={
            "LANGUAGE": {
                "keywords": ["text", "nlp", "gpt"],
                "file_patterns": ["*.safetensors", "tokenizer.json"],
            },
            "VISION": {"keywords": ["vision", "clip"], "modalities": ["IMAGE"]},
            "MULTIMODAL": {"keywords": ["vision-language"], "modalities": ["TEXT", "IMAGE"]},
        },
        secondary_category={"CHAT": {"keywords": ["chat", "instruct"]}},
    )
    assert (
        Categorizer(accepted)
        .verdicts(signals("my-gpt-chat"), {"TEXT"}, {"TEXT"})["secondary"]
        .value
        == "CHAT"
    )


def test_the_highest_sum_wins_and_ties_go_to_the_earlier_category() -> None:
    tie = Categorizer(
        rules(secondary_category={"CODE": {"keywords": ["alpha"]}, "CHAT": {"keywords": ["beta"]}})
    )
    assert tie.verdicts(signals("alpha-beta"), (), ())["secondary"].value == "CODE"
    heavier = Categorizer(
        rules(
            secondary_category={
                "CODE": {"keywords": ["alpha"]},
                "CHAT": {"keywords": ["beta"], "weight": 1.1},
            }
        )
    )
    assert heavier.verdicts(signals("alpha-beta"), (), ())["secondary"].value == "CHAT"


def test_a_keyword_counts_once_where_it_counts_most() -> None:
    one = Categorizer(rules(secondary_category={"CODE": {"keywords": ["alpha"]}}))
    (evidence,) = one.verdicts(signals("alpha", description="alpha alpha alpha"), (), ())[
        "secondary"
    ].evidence
    assert (evidence.where, evidence.weight) == ("name", 4.0)


def test_places_narrow_where_keywords_may_stand() -> None:
    narrow = Categorizer(
        rules(secondary_category={"CODE": {"keywords": ["alpha"], "places": ["name"]}})
    )
    assert (
        narrow.verdicts(signals("x", description="alpha and more words"), (), ())["secondary"].value
        is None
    )


@pytest.mark.parametrize(
    ("sections", "place"),
    [
        ({"secondary_category": {"CODE": {"keyword": ["a"]}}}, "CODE"),
        ({"secondary_category": {"HAPPY": {"keywords": ["a"]}}}, "HAPPY"),
        ({"secondary_category": {"CODE": {"keywords": [""]}}}, "keywords"),
        ({"secondary_category": {"CODE": {"keywords": ["--"]}}}, "keywords"),
        ({"secondary_category": {"CODE": {"file_patterns": ["[a"]}}}, "file_patterns"),
        ({"secondary_category": {"CODE": {}}}, "CODE"),
        ({"secondary_category": {"CODE": {"keywords": ["a"], "weight": -1}}}, "weight"),
        ({"primary_category": {"VISION": {"modalities": ["SMELL"]}}}, "modalities"),
        ({"secondary_category": {"CODE": {"keywords": ["a"], "places": ["attic"]}}}, "places"),
        ({"secondary_category": {"CODE": [{"keywords": ["a"]}] * 10_000}}, "10,000 rules"),
        ({"tertiary_category": {}}, "tertiary_category"),
    ],
)
def test_bad_rules_are_refused_with_their_place(sections: dict[str, Any], place: str) -> None:
    with pytest.raises(ValidationError) as caught:
        rules(**sections)
    assert place in str(caught.value)


def test_capabilities_follow_from_structure_and_verdicts() -> None:
    chat = signals(
        config={"architectures": ["LlamaForCausalLM"]},
        chat_template="tokenizer_config.json",
        tools="tokenizer_config.json",
    )
    assert capabilities(chat, {"TEXT"}, {"TEXT"}, "CHAT") == ["CHAT", "GENERATION", "TOOL_USE"]
    assert capabilities(
        signals(sentence_transformers="modules.json"), {"TEXT"}, set(), "ANALYSIS"
    ) == ["EMBEDDING"]
    assert capabilities(
        signals(config={"model_type": "whisper"}), {"AUDIO"}, {"TEXT"}, "ANALYSIS"
    ) == ["TRANSCRIPTION"]
    assert capabilities(signals(task="text-to-image"), {"TEXT"}, {"IMAGE"}, "CREATIVE") == [
        "IMAGE_GENERATION"
    ]


@pytest.mark.parametrize(
    ("words_of_the_card", "name"),
    [
        ("Apache License 2.0", "apache-2.0"),
        ("MIT", "mit"),
        ("apache-2.0", "apache-2.0"),
        ("custom", "custom"),
        ("Ask us first", "Ask us first"),
        ("llama2", "llama2"),
    ],
)
def test_licences_get_their_usual_name_where_they_have_one(
    words_of_the_card: str, name: str
) -> None:
    assert license_name(words_of_the_card) == name


def test_families_and_relations() -> None:
    assert [family(kind) for kind in ("qwen2_5_vl", "gemma3_text", "deepseek_v3", None)] == [
        "qwen",
        "gemma",
        "deepseek",
        None,
    ]
    assert [relation(*case) for case in ((False, True, (), 1), (True, False, (), 1),
            (False, False, ("merge",), 1), (False, False, (), 1))] == [
        "adapter", "quantized", "merge", "finetune",
    ]  # fmt: skip


def test_a_config_that_contradicts_the_tensors_is_said_and_the_tensors_win(
    models_root: Path, read: Read
) -> None:
    big = {
        "hidden_size": 4096,
        "num_hidden_layers": 32,
        "intermediate_size": 11008,
        "num_attention_heads": 32,
        "vocab_size": 32000,
    }
    builders.transformers(
        models_root / "model-7b",
        extra_config=big,
        card=builders.DemoCard("A 7B model", "This model has 7B parameters, says its card."),
    )
    found = read(models_root)["model-7b"]
    assert found.values["parameter_count"].value < 10_000_000
    assert [problem.code for problem in found.problems] == ["config_contradicts"]


def test_a_mixture_of_experts_has_fewer_active_parameters(models_root: Path, read: Read) -> None:
    builders.transformers(models_root / "moe", family="mixtral", experts=8)
    found = read(models_root)["moe"]
    assert found.values["active_parameter_count"].value < found.values["parameter_count"].value


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=12), inner),
        max_leaves=12,
    )
)
def test_junk_never_crashes_the_signals(junk: Any) -> None:
    clues = SignalCollector()
    config = {
        "architectures": junk,
        "model_type": junk,
        "vision_config": junk,
        "vocab_size": junk,
        "_name_or_path": junk,
    }
    clues.config(config, "config.json")
    clues.card(
        {"pipeline_tag": junk, "tags": junk, "base_model": junk, "library_name": junk}, None, ""
    )
    told = clues.finish("name", "path", junk, junk, ())
    assert Signals.from_json(json.loads(json.dumps(told.to_json()))) is not None
    verdicts(told)
