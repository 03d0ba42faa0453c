"""What is read from Flax, Core ML, CTranslate2, TensorRT, NeMo and GGML, and hostile files of
each.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from struct import pack

import pytest

from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.formats import coreml, ctranslate2, flax, ggml, nemo, tensorrt
from tests.engine.cases import LLAMA, TINY, WHISPER, build, read
from tests.support import builders

# Flax


def test_flax_names_arrays_by_their_path_and_says_where_they_lie(tmp_path: Path) -> None:
    data = build("flax", tmp_path)
    for tensor in read(flax, data).tensors:
        assert data[tensor.offset - 4 : tensor.offset] == pack(">I", tensor.size)


def test_flax_arrays_in_chunks_are_one_array(tmp_path: Path) -> None:
    weight = next(
        t
        for t in read(flax, build("flax in chunks", tmp_path)).tensors
        if t.name == "layer.0.weight"
    )
    assert (weight.shape, weight.size) == ((4, 3), 48)


FLAX_HOSTILE = {
    "a map of 2^32 entries": b"\xdf\xff\xff\xff\xff",
    "maps in maps without end": b"\x81\xa1a" * 100_000,
    "a shape of 2^32 dimensions": b"\x81\xa1a\xc7\x08\x01\x93\xdd\xff\xff\xff\xff\x00\x00",
    "dimensions that multiply past 2^63": (
        b"\x81\xa1a\xc7\x22\x01\x93\x93\xcf"
        + b"\xff" * 8
        + b"\xcf"
        + b"\xff" * 8
        + b"\x01"
        + b"\xa7float32\xc4\x00"
    ),
    "an array past the end": (
        b"\x81\xa1a\xc9\xff\xff\xff\xff\x01\x93\x90\xa7float32\xc6\xff\xff\xff\xff"
    ),
    "a million small values": b"\xdd" + pack(">I", 1_000_000) + b"\xc0" * 1_000_000,
    "a million values in a map": b"\x81\xa1a\xdd" + pack(">I", 1_000_000) + b"\xc0" * 1_000_000,
    "a key of 4 GB": b"\x81\xdb\xff\xff\xff\xff",
    "an unused type": b"\x81\xa1a\xc1",
    "bytes after the end": b"\x81\xa1a\xc7\x0d\x01\x93\x90\xa7float32\xc4\x00rest",
}


@pytest.mark.parametrize("data", FLAX_HOSTILE.values(), ids=FLAX_HOSTILE.keys())
def test_hostile_msgpack_is_refused(data: bytes) -> None:
    with pytest.raises((InvalidHeader, NotThisFormat)):
        read(flax, data)


# Core ML


def test_a_core_ml_model_gives_its_description_and_kind(tmp_path: Path) -> None:
    metadata = read(coreml, build("mlmodel", tmp_path)).metadata
    assert (metadata["specification_version"], metadata["kind"], metadata["description"]) == (
        4,
        "neural network",
        "Reads digits",
    )


def test_a_core_ml_package_says_where_its_model_lies(tmp_path: Path) -> None:
    metadata = read(coreml, build("mlpackage", tmp_path)).metadata
    assert metadata["model"] == "Data/com.apple.CoreML/model.mlmodel"
    assert (tmp_path / "m.mlpackage" / metadata["model"]).is_file()


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd"])
def test_a_manifest_that_leaves_the_package_is_a_problem(path: str) -> None:
    manifest = {
        "fileFormatVersion": "1.0.0",
        "itemInfoEntries": {"a": {"path": path}},
        "rootModelIdentifier": "a",
    }
    assert [problem.code for problem in read(coreml, json.dumps(manifest).encode()).problems] == [
        "external_data_outside"
    ]


# CTranslate2


def test_ctranslate2_gives_the_specification_and_unpacks_nothing_it_need_not(
    tmp_path: Path,
) -> None:
    tensors = [
        ("decoder/w/weight", "I8", (8, 8)),
        ("decoder/w/weight_scale", "F32", (8,)),
        ("num_heads", "I8", ()),
    ]
    builders.ctranslate2(tmp_path / "model.bin", tensors, spec="WhisperSpec")
    header = read(ctranslate2, (tmp_path / "model.bin").read_bytes())
    assert (header.metadata["spec"], header.parameter_count, header.quantization) == (
        "WhisperSpec",
        64,
        "INT8",
    )


SPEC = pack("<IH", 6, 9) + b"TestSpec\0"


@pytest.mark.parametrize(
    "tail",
    [
        pack("<II", 1, 0xFFFF_FFFF),
        pack("<IIH", 1, 1, 0xFFFF),
        pack("<IIH2sB", 1, 1, 2, b"w\0", 255),
        pack("<IIH2sBIBI", 1, 1, 2, b"w\0", 1, 5, 0, 4),
        pack("<IIH2sBIBI", 1, 1, 2, b"w\0", 1, 0x4000_0000, 0, 0),
    ],
)
def test_hostile_ctranslate2_files_are_refused(tail: bytes) -> None:
    with pytest.raises(InvalidHeader):
        read(ctranslate2, SPEC + tail + bytes(64))


# TensorRT


def test_a_tensorrt_plan_gives_the_release_it_was_built_with(tmp_path: Path) -> None:
    builders.tensorrt(tmp_path / "m.engine", 4096)
    assert (
        read(tensorrt, (tmp_path / "m.engine").read_bytes()).metadata["tensorrt_version"]
        == "10.3.0.26"
    )


@pytest.mark.parametrize("length", [4, 8, 27, 28])
def test_a_plan_cut_in_its_header_is_broken(length: int, tmp_path: Path) -> None:
    builders.tensorrt(tmp_path / "m.engine", 4096)
    with pytest.raises(InvalidHeader):
        read(tensorrt, (tmp_path / "m.engine").read_bytes()[:length])


# NeMo


@pytest.mark.parametrize("compressed", [False, True])
def test_a_nemo_archive_gives_members_and_configuration(compressed: bool, tmp_path: Path) -> None:
    builders.nemo(
        tmp_path / "m.nemo",
        {"target": "nemo.asr.Model", "sample_rate": 16000, "nested": "{a: 1}"},
        weights=700,
        compressed=compressed,
    )
    metadata = read(nemo, (tmp_path / "m.nemo").read_bytes()).metadata
    assert metadata["members"] == ["./model_config.yaml", "./model_weights.ckpt"]
    assert metadata["config"] == {"target": "nemo.asr.Model", "sample_rate": "16000"}
    assert (metadata["weights_size"], metadata["compressed"]) == (700, compressed)


def test_a_gzip_bomb_is_unpacked_only_as_far_as_needed() -> None:
    with pytest.raises(NotThisFormat):
        read(nemo, gzip.compress(bytes(200 << 20), compresslevel=1))


# GGML


@pytest.mark.parametrize("case", ["ggml llama", "ggmf", "ggjt"])
def test_old_llama_files_give_numbers_and_tensors(case: str, tmp_path: Path) -> None:
    header = read(ggml, build(case, tmp_path))
    assert [(t.name, t.shape) for t in header.tensors] == [
        (name, tuple(shape)) for name, _, shape in LLAMA
    ]
    expected = {
        "architecture": "llama",
        "vocab_size": 3,
        "embedding_length": 8,
        "layer_count": 1,
        "head_count": 1,
    }
    assert {key: header.metadata[key] for key in expected} == expected


def test_old_whisper_files_are_told_from_llama_s(tmp_path: Path) -> None:
    builders.ggml_whisper(tmp_path / "m.bin", WHISPER, TINY)
    header = read(ggml, (tmp_path / "m.bin").read_bytes())
    assert not header.problems
    assert (header.metadata["architecture"], header.metadata["mel_bins"], len(header.tensors)) == (
        "whisper",
        80,
        len(WHISPER),
    )


def test_an_old_llama_file_of_several_parts_says_so(tmp_path: Path) -> None:
    builders.ggml_llama(tmp_path / "m.bin", LLAMA[:5], TINY, file_type=0)
    assert [problem.code for problem in read(ggml, (tmp_path / "m.bin").read_bytes()).problems] == [
        "tensors_missing"
    ]


def test_a_ggml_file_of_another_model_is_recognized_and_no_more() -> None:
    header = read(ggml, b"lmgg" + pack("<7I", 50400, 2048, 4096, 16, 28, 64, 2) + bytes(400))
    assert [problem.code for problem in header.problems] == ["unknown_layout"]
    assert header.parameter_count is None


@pytest.mark.parametrize(
    "data",
    [
        b"tjgg" + pack("<I", 99),
        b"tjgg" + pack("<I", 3) + pack("<7I", 300_000, 64, 256, 1, 2, 64, 0) + b"\xff" * 64,
        b"tjgg"
        + pack("<I", 3)
        + pack("<7I", 1, 64, 256, 1, 2, 64, 0)
        + bytes(8)
        + pack("<3I", 4, 0xFFFF_FFFF, 0)
        + bytes(64),
        b"tjgg"
        + pack("<I", 3)
        + pack("<7I", 1, 64, 256, 1, 2, 64, 0)
        + bytes(8)
        + pack("<3I", 1, 4, 250)
        + bytes(64),
        b"algg" + pack("<3I", 1, 8, 16) + b"\xff" * 64,
    ],
)
def test_hostile_ggml_files_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidHeader):
        read(ggml, data)
