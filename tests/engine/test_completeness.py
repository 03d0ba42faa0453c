"""Where a model should lie, which part of its path is a name, and what is missing as one number."""

from __future__ import annotations

import pytest

from discovery.engine.core.completeness import (
    REPORTED,
    mask,
    masks_with,
    model_name,
    naming,
    suggested_folder,
    suggested_path,
)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("language/chat/llama-2-7b-chat", "llama-2-7b-chat"),
        ("shelf/mistral-7b-instruct.Q4_K_M.gguf", "mistral-7b-instruct"),
        ("sd-v1-5-00001-of-00002.safetensors", "sd-v1-5"),
        ("deepseek-coder-6.7b", "deepseek-coder-6.7b"),
        ("hub/models--org--Name", None),
        ("ollama/manifests/registry.ollama.ai/library/llama3", None),
        ("http://127.0.0.1:8080/v1#gpt-4", None),
        (".", None),
    ],
)
def test_a_name_is_what_people_chose_and_no_store(path: str, name: str | None) -> None:
    assert model_name(path) == name


@pytest.mark.parametrize(
    ("categories", "folder"),
    [
        (("LANGUAGE", "CHAT", "GENERAL"), "language/chat"),
        (("LANGUAGE", "CODE", "TECHNICAL"), "language/code"),
        (("LANGUAGE", None, None), "language"),
        (("LANGUAGE", "CHAT", "MEDICAL"), "specialized/medical"),
        (("VISION", "ANALYSIS", None), "vision"),
        (("AUDIO", "ANALYSIS", "GENERAL"), "audio"),
        (("MULTIMODAL", "CHAT", None), "multimodal"),
        ((None, None, None), None),
    ],
)
def test_the_shelf_is_that_of_the_guides_layout(
    categories: tuple[str | None, str | None, str | None], folder: str | None
) -> None:
    assert suggested_folder(*categories) == folder


@pytest.mark.parametrize(
    ("root", "path", "wanted", "better"),
    [
        ("/srv/models", "llama-2-7b-chat", "language/chat", "language/chat/llama-2-7b-chat"),
        ("/srv/models", "language/chat/llama-2-7b-chat", "language/chat", None),
        ("/srv/models", "Language/Chat/tuned/llama", "language/chat", None),
        ("/srv/models/language", "chat/llama", "language/chat", None),
        ("/srv/models", "chat/llama", "language/chat", "language/chat/llama"),
        ("/srv/models", "vision/a/weights.gguf", "audio", "audio/weights.gguf"),
        ("/srv/models", "models--a--b", "audio", None),
        ("/srv/models", "a", None, None),
    ],
)
def test_a_model_on_its_shelf_need_not_move(
    root: str, path: str, wanted: str | None, better: str | None
) -> None:
    assert suggested_path(root, path, wanted) == better


def test_what_is_missing_is_one_number_that_an_index_can_be_asked_for() -> None:
    assert mask([]) == 0
    assert mask(["license", "description", "license"]) == 3
    for name in REPORTED:
        assert set(masks_with(name)) == {number for number in range(128) if number & mask([name])}


def test_bits_stay_what_they_are_in_databases() -> None:
    """They are stored: a name may be added with a bit of its own, and none may change."""
    assert {name: mask([name]) for name in REPORTED} == {
        "description": 0b1,
        "license": 0b10,
        "capabilities": 0b100,
        "resource_requirements": 0b1000,
        "performance_metrics": 0b10000,
        "language_support": 0b100000,
        "naming": 0b1000000,
    }


def test_a_better_name_is_a_good_one() -> None:
    for name in (
        "Llama-2-7b",
        "my model_v2",
        "--a..b__",
        "A.-.B",
        "Mixtral 8X7B Instruct",
        "模a",
        "x" * 500 + "Y",
    ):
        advice = naming(name)
        assert advice
        assert advice.better
        assert naming(advice.better) is None, advice
