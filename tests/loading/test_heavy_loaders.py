"""Loaders of the heavy extras, ``[torch]`` and ``[llama]``: run where these are installed."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from discovery.loading import supervise
from discovery.loading.job import Job, Outcome, Result
from tests.loading.jobs import job
from tests.support import builders

MIB = 1 << 20

with_torch = pytest.mark.skipif(
    find_spec("torch") is None or find_spec("transformers") is None,
    reason="the extra [torch] is not installed",
)
with_llama = pytest.mark.skipif(
    find_spec("llama_cpp") is None, reason="the extra [llama] is not installed"
)


def attempt(task: Job) -> Outcome:
    return supervise.run(task, wall_seconds=600)


def transformers(root: Path, family: str = "bert", **fields: object) -> Job:
    builders.transformers(root / "model", family=family)
    return job(root, "model/model.safetensors", **{"type": "TRANSFORMERS", **fields})


@with_torch
def test_a_transformers_model_is_loaded_with_config_tokenizer_and_weights(tmp_path: Path) -> None:
    outcome = attempt(transformers(tmp_path))
    assert (outcome.result, outcome.loader) == (Result.PASSED, "transformers")
    assert "config of a bert model" in outcome.message
    assert outcome.message.endswith("BertModel of 299,456 parameters loaded")


@with_torch
def test_a_model_that_does_not_fit_is_built_without_data_and_its_weights_are_read(
    tmp_path: Path,
) -> None:
    outcome = attempt(transformers(tmp_path, weights_bytes=100 << 30))
    assert outcome.result is Result.PASSED
    assert "built without data, for the memory is too small; all 39 tensors" in outcome.message


@with_torch
@pytest.mark.parametrize(
    ("config", "said"),
    [
        (
            {"model_type": "mine", "auto_map": {"AutoConfig": "code.Mine"}},
            "It needs Python code from its own folder, which is never run here.",
        ),
        (
            {"model_type": "of-next-year"},
            "This version of Transformers does not know the architecture",
        ),
    ],
)
def test_a_model_that_transformers_alone_cannot_read_is_unsupported(
    tmp_path: Path, config: dict[str, object], said: str
) -> None:
    task = transformers(tmp_path)
    builders.write_json(tmp_path / "model/config.json", config)
    builders.write_text(tmp_path / "model/code.py", f"open({str(tmp_path / 'executed')!r}, 'w')")
    outcome = attempt(task)
    assert outcome.result is Result.UNSUPPORTED, outcome
    assert outcome.message.startswith(said)
    assert not (tmp_path / "executed").exists()


@with_torch
def test_weights_that_contradict_the_config_fail(tmp_path: Path) -> None:
    task = transformers(tmp_path)
    weights = tmp_path / "model/model.safetensors"
    builders.safetensors(
        weights, [("embeddings.word_embeddings.weight", "F32", (7, 7))], {"format": "pt"}
    )
    outcome = attempt(task)
    assert outcome.result is Result.FAILED
    assert (
        "embeddings.word_embeddings.weight is [7, 7] in the files and [1000, 64] by the config"
        in outcome.message
    )
    builders.safetensors(weights, [("something.else", "F32", (7, 7))], {"format": "pt"})
    outcome = attempt(task)
    assert outcome.result is Result.FAILED
    assert outcome.message.startswith("The files hold 0 of the ")


@with_torch
@pytest.mark.parametrize("write", [builders.torch_zip, builders.torch_legacy])
def test_a_checkpoint_is_read_with_weights_only(tmp_path: Path, write: Callable[..., None]) -> None:
    write(tmp_path / "model.pt", [("w", "F32", (300, 4)), ("v", "F16", (100, 4))])
    outcome = attempt(job(tmp_path, "model.pt", format="pytorch"))
    assert outcome.result is Result.PASSED
    assert "with weights_only and read all 2 tensors (5.6 kB)" in outcome.message


@with_torch
def test_a_checkpoint_larger_than_the_memory_is_mapped(tmp_path: Path) -> None:
    builders.torch_zip(tmp_path / "model.pt", [("w", "F32", (1 << 14, 1 << 14))])
    outcome = attempt(job(tmp_path, "model.pt", format="pytorch", memory_bytes=900 * MIB))
    assert outcome.result is Result.PASSED, outcome


@with_torch
def test_a_checkpoint_without_tensors_fails(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_bytes(pickle.dumps({"epoch": 3}, 2))
    assert attempt(job(tmp_path, "model.pt", format="pytorch")).result is Result.FAILED


@with_llama
def test_llama_cpp_loads_a_gguf(tmp_path: Path) -> None:
    builders.gguf_model(tmp_path / "model.gguf", "model", builders.Sizes(hidden=256), "Q4_K_M")
    outcome = attempt(job(tmp_path, "model.gguf", type="LLAMA_CPP", format="gguf"))
    assert outcome.message.endswith("llama.cpp loaded it with a context of 512 tokens.")


@with_llama
def test_what_llama_cpp_says_when_it_refuses_is_told(tmp_path: Path) -> None:
    builders.gguf(
        tmp_path / "model.gguf", {"general.architecture": "of-next-year"}, [("w", "F32", (32, 4))]
    )
    outcome = attempt(job(tmp_path, "model.gguf", type="LLAMA_CPP", format="gguf"))
    assert outcome.result is Result.FAILED
    assert outcome.message.startswith("llama.cpp refuses it: ")
    assert "of-next-year" in outcome.message


@with_llama
def test_a_projector_is_not_loaded_alone(tmp_path: Path) -> None:
    builders.mmproj(tmp_path / "mmproj.gguf", 256, layers=1, hidden=64)
    outcome = attempt(job(tmp_path, "mmproj.gguf", type="LLAMA_CPP", format="gguf"))
    assert outcome.result is Result.PASSED
    assert "llama.cpp" not in outcome.message
