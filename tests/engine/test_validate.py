"""The checks of the contract: what passes, what warns, what fails, and what does not apply."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from discovery.engine.core.completeness import completeness, naming
from discovery.engine.core.types import Found, Problem
from discovery.engine.core.vocabulary import Severity
from discovery.engine.integrity import validate
from tests.support import builders

Read = Callable[..., dict[str, Found]]


def outcomes(found: Found) -> dict[str, str]:
    return {check.name: check.status.value for check in validate.checks(found)}


def one(read: Read, root: Path) -> Found:
    (found,) = read(root).values()
    return found


def test_every_check_of_the_contract_is_told_in_its_order(models_root: Path, read: Read) -> None:
    builders.transformers(models_root / "tiny-llama")
    told = validate.checks(one(read, models_root))
    assert tuple(check.name for check in told) == tuple(validate.CHECKS)
    assert all(check.message for check in told)
    assert validate.is_valid(validate.as_json(told))


def _truncated(folder: Path) -> None:
    os.truncate(folder / "model.safetensors", 5_000)


def _no_config(folder: Path) -> None:
    (folder / "config.json").write_text(
        '{"architectures": ["LlamaForCausalLM"], "model_type": "llama",}'
    )


def _no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def _flipped(folder: Path) -> None:
    raw = bytearray((folder / "model.safetensors").read_bytes()[:64])
    raw[9] ^= 0xFF
    with (folder / "model.safetensors").open("r+b") as file:
        file.write(raw)


def _pickle(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    builders.pickle_with_import(folder / "pytorch_model.bin", "os", "system")


def _disguised(folder: Path) -> None:
    builders.pickle_with_import(folder / "model.safetensors", "os", "system")


def _no_tokenizer(folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        (folder / name).unlink(missing_ok=True)


def _no_card(folder: Path) -> None:
    (folder / "README.md").unlink()


@pytest.mark.parametrize(
    ("harm", "check", "outcome"),
    [
        (_truncated, "size_matches_header", "failed"),
        (_truncated, "tensor_bounds", "failed"),
        (_no_config, "config_parses", "failed"),
        (_no_weights, "weights_present", "failed"),
        (_flipped, "header_parses", "failed"),
        (_flipped, "size_matches_header", "skipped"),
        (_pickle, "pickle_safe", "failed"),
        (_disguised, "pickle_safe", "failed"),
        (_no_tokenizer, "tokenizer_present", "warning"),
        (_no_card, "card_present", "warning"),
        (_no_card, "license_present", "warning"),
    ],
)
def test_what_is_wrong_fails_the_check_that_is_about_it(
    harm: Callable[[Path], None], check: str, outcome: str, models_root: Path, read: Read
) -> None:
    builders.transformers(models_root / "tiny-llama")
    assert outcomes(one(read, models_root))[check] != outcome
    harm(models_root / "tiny-llama")
    found = one(read, models_root)
    assert outcomes(found)[check] == outcome
    assert validate.is_valid(validate.as_json(validate.checks(found))) == (
        outcome != "failed" and harm is not _flipped
    )


def test_a_pickle_under_a_name_that_promises_safetensors_is_unsafe(
    models_root: Path, read: Read
) -> None:
    builders.transformers(models_root / "tiny-llama")
    _disguised(models_root / "tiny-llama")
    found = one(read, models_root)
    assert found.status == "UNSAFE"
    assert "under a name that promises otherwise" in found.problems[0].message


@pytest.mark.parametrize(
    ("code", "check"),
    [
        ("tensor_invalid", "tensor_bounds"),
        ("external_data_invalid", "tensor_bounds"),
        ("dtype_unknown", "dtype_known"),
        ("archive_unchecked", "pickle_safe"),
        ("opset_missing", "header_parses"),
        ("made_up_by_a_plugin", "header_parses"),
    ],
)
def test_an_error_of_any_kind_fails_a_check(
    code: str, check: str, models_root: Path, read: Read
) -> None:
    builders.transformers(models_root / "tiny-llama")
    found = dataclasses.replace(
        one(read, models_root),
        problems=(Problem(code, "it is wrong", "tiny-llama/model.safetensors"),),
    )
    assert [name for name, outcome in outcomes(found).items() if outcome == "failed"] == [check]


def test_a_warning_about_the_header_leaves_the_other_checks_to_be_made(
    models_root: Path, read: Read
) -> None:
    builders.transformers(models_root / "tiny-llama")
    found = one(read, models_root)
    told = outcomes(
        dataclasses.replace(
            found, problems=(Problem("trailing_data", "bytes follow", "x", Severity.WARNING),)
        )
    )
    assert (told["header_parses"], told["size_matches_header"], told["tensor_bounds"]) == (
        "warning",
        "passed",
        "passed",
    )


@pytest.mark.parametrize(
    "make",
    [
        lambda root: builders.gguf_folder(root / "tiny-llama-gguf"),
        lambda root: builders.adapter(root / "tiny-lora"),
        lambda root: builders.diffusers(root / "tiny-pipeline"),
        lambda root: builders.sentence_transformers(root / "tiny-minilm"),
        lambda root: builders.mlx(root / "tiny-mlx"),
    ],
)
def test_no_whole_model_of_any_kind_fails_a_check(
    make: Callable[[Path], None], models_root: Path, read: Read
) -> None:
    make(models_root)
    assert "failed" not in outcomes(one(read, models_root)).values()


def test_a_tokenizer_that_is_larger_than_the_model_is_told(models_root: Path, read: Read) -> None:
    builders.transformers(models_root / "tiny-llama", vocab=200)
    found = one(read, models_root)
    told = {
        size: {c.name: c for c in validate.checks(found, size)}["tokenizer_matches_vocab"]
        for size in (None, 200, 300)
    }
    assert [told[size].status.value for size in (None, 200, 300)] == [
        "skipped",
        "passed",
        "warning",
    ]
    assert "300" in told[300].message


def test_the_size_of_a_tokenizer_is_read_from_its_file(models_root: Path, read: Read) -> None:
    builders.transformers(models_root / "tiny-llama")
    builders.write_json(
        models_root / "tiny-llama/tokenizer.json",
        {"model": {"vocab": {"a": 0, "b": 6}}, "added_tokens": [{"id": 8}]},
    )
    assert validate.tokenizer_size(str(models_root), one(read, models_root)) == 9


def test_content_changes_with_the_files_and_not_with_the_place(
    models_root: Path, read: Read
) -> None:
    builders.transformers(models_root / "a")
    before = validate.content(one(read, models_root))
    (models_root / "a").rename(models_root / "b")
    assert validate.content(one(read, models_root)) == before
    os.utime(models_root / "b/config.json", (1, 1))
    assert validate.content(one(read, models_root)) != before


@pytest.mark.parametrize(
    ("name", "parameters", "says", "better"),
    [
        ("llama-2-7b-chat", 7 * 10**9, None, None),
        ("deepseek-coder-6.7b", 7 * 10**9, None, None),
        ("bert-base", 110_000_000, None, None),
        ("mixtral-8x7b", 46 * 10**9, None, None),
        ("Llama-2-7b", None, "capital letters", "llama-2-7b"),
        ("my model_v2", None, "other characters", "my-model-v2"),
        ("模型", None, "other characters", None),
        ("falcon", 7_200_000_000, "does not say its size (7.2b)", "falcon-7.2b"),
        ("llama-2-chat", 6_740_000_000, "does not say its size (6.7b)", "llama-2-6.7b-chat"),
        (
            "Mistral_Instruct v0.2",
            7_240_000_000,
            "and does not say its size (7.2b)",
            "mistral-7.2b-instruct-v0.2",
        ),
        ("deepseek-v3", 671 * 10**9, "does not say its size (671b)", "deepseek-671b-v3"),
        ("Qwen2.5-0.5B-Instruct", 494_000_000, "capital letters", "qwen2.5-0.5b-instruct"),
        ("--a..b__", None, "other characters", "a.b"),
    ],
)
def test_names_are_judged_by_the_convention_of_the_guide(
    name: str, parameters: int | None, says: str | None, better: str | None
) -> None:
    advice = naming(name, parameters)
    if says is None:
        assert advice is None
    else:
        assert advice is not None
        assert says in advice.reason
        assert advice.better == better


def test_completeness_counts_what_is_filled_and_names_what_is_missing() -> None:
    values: dict[str, Any] = {
        "modalities": ["TEXT"],
        "description": "x",
        "license": "mit",
        "capabilities": ["CHAT"],
    }
    assert completeness(values) == (
        50,
        ["resource_requirements", "performance_metrics", "language_support"],
    )
    assert completeness({**values, "modalities": ["IMAGE"]}).missing == [
        "resource_requirements",
        "performance_metrics",
    ]
    assert completeness({}).score == 0
