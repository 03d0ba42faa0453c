"""GGUF files that are no model of their own, and those whose types only a fork knows."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from discovery.engine.core.types import Found
from discovery.engine.identify.gguf_kinds import Kind, kind
from tests.engine.situations_of_sidecars import decoder_tensors
from tests.support import builders

Read = Callable[..., dict[str, Found]]

LLAMA = {
    "general.architecture": "llama", "general.name": "Thing 1B", "llama.embedding_length": 64,
    "llama.block_count": 20, "llama.context_length": 128,
}  # fmt: skip


def value(found: Found, field: str) -> object:
    return found.values[field].value if field in found.values else None


@pytest.mark.parametrize(
    ("metadata", "what"),
    [
        ({"general.type": "adapter", "general.architecture": "llama"}, Kind.ADAPTER),
        ({"general.type": "mmproj", "general.architecture": "llama"}, Kind.PROJECTOR),
        ({"general.architecture": "clip"}, Kind.PROJECTOR),
        ({"general.architecture": "controlvector"}, Kind.CONTROL),
        ({"general.architecture": "FLUX"}, Kind.PAINTER),
        ({"general.architecture": "wan"}, Kind.PAINTER),
        ({"general.architecture": "bert"}, Kind.ENCODER),
        ({"general.architecture": "eagle3"}, Kind.DRAFT),
        ({"general.architecture": "llama"}, Kind.MODEL),
        ({"general.architecture": 5, "general.type": ["adapter"]}, Kind.MODEL),
        ({}, Kind.MODEL),
    ],
)
def test_the_header_says_what_it_is(metadata: dict[str, object], what: Kind) -> None:
    assert kind(metadata, None) is what


def test_a_vocabulary_alone_is_no_model_that_can_be_loaded(models_root: Path, read: Read) -> None:
    builders.gguf(models_root / "ggml-vocab-thing.gguf", LLAMA, [], vocabulary=50)
    (found,) = read(models_root).values()
    assert found.status == "INCOMPLETE"
    assert [problem.code for problem in found.problems] == ["weights_missing"]


def test_a_first_shard_may_hold_the_metadata_alone(models_root: Path, read: Read) -> None:
    for number, tensors in ((1, []), (2, decoder_tensors())):
        path = models_root / f"thing-0000{number}-of-00002.gguf"
        builders.gguf(path, {**LLAMA, "split.count": 2, "split.no": number - 1}, tensors)
    (found,) = read(models_root).values()
    assert found.status == "READY"


def test_a_drafter_is_no_quantization_of_its_trunk(models_root: Path, read: Read) -> None:
    shelf = models_root / "shelf"
    builders.gguf(shelf / "thing-1b-F16.gguf", LLAMA, decoder_tensors(20))
    few = [("blk.19.attn_q.weight", "F16", (64, 64)), ("blk.19.norm.weight", "F32", (64,))]
    builders.gguf(shelf / "draft-thing-1b-F32.gguf", LLAMA, few)
    found = read(models_root)
    trunk = found["shelf/thing-1b-F16.gguf"]
    drafter = found["shelf/draft-thing-1b-F32.gguf"]
    assert len(trunk.variants) == len(drafter.variants) == 1
    assert "part" in drafter.signals["marks"]
    assert "part" not in trunk.signals["marks"]


def test_one_of_several_projectors_is_loaded(models_root: Path, read: Read) -> None:
    shelf = models_root / "shelf"
    builders.gguf(shelf / "thing-1b-Q4_K_M.gguf", LLAMA, decoder_tensors())
    sizes = set()
    for precision in ("F16", "F32"):
        keys = {
            "general.architecture": "clip", "general.type": "mmproj",
            "clip.has_vision_encoder": True, "clip.vision.projection_dim": 64,
        }  # fmt: skip
        tensors = [("mm.0.weight", precision, (64, 32)), ("v.norm", precision, (32,))]
        builders.gguf(shelf / f"mmproj-{precision}.gguf", keys, tensors)
        sizes.add((64 * 32 + 32) * (2 if precision == "F16" else 4))
    (found,) = read(models_root).values()
    assert found.memory_shape["projector_bytes"] == max(sizes)


def with_type(path: Path, name: str, number: int) -> None:
    """Gives the tensor ``name`` another type; its data stay where they are."""
    data = bytearray(path.read_bytes())
    at = data.index(name.encode()) + len(name)
    dimensions = struct.unpack_from("<I", data, at)[0]
    struct.pack_into("<I", data, at + 4 + 8 * dimensions, number)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("name", "quantization"),
    [
        ("thing-1b-IQ4_KSS.gguf", "IQ4_KSS"), ("thing-1b-IQ2_KT.gguf", "IQ2_KT"),
        ("thing-1b-Q4_0_R8.gguf", "Q4_0_R8"), ("thing-1b.gguf", "TYPE_9999"),
    ],
)  # fmt: skip
def test_types_of_a_fork_are_named_by_the_file_and_measured_by_their_offsets(
    name: str, quantization: str, models_root: Path, read: Read
) -> None:
    path = models_root / "shelf" / name
    builders.gguf(path, LLAMA, [("token_embd.weight", "Q8_0", (100, 64)), ("n", "F32", (64,))])
    with_type(path, "token_embd.weight", 9999)
    (found,) = read(models_root).values()
    assert value(found, "quantization") == quantization
    assert value(found, "parameter_count") == 6_464
    assert value(found, "dtype") is None
    (variant,) = found.variants
    assert variant.weights_bytes == pytest.approx(100 * 64 // 32 * 34 + 256, abs=32)
    assert found.status == "READY"


def test_foreign_types_that_lie_on_each_other_measure_nothing(
    models_root: Path, read: Read
) -> None:
    path = models_root / "shelf/thing.gguf"
    builders.gguf(path, LLAMA, [("one.weight", "Q8_0", (0, 64)), ("two.weight", "Q8_0", (0, 64))])
    for name in ("one.weight", "two.weight"):
        with_type(path, name, 9999)
    (found,) = read(models_root).values()
    assert found.variants[0].weights_bytes in (None, 0)
