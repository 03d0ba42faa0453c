"""Models in wrappings: bundles of MediaPipe, Tesseract's data packed by gzip, and word vectors
without a first line.
"""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.types import Found
from discovery.engine.formats import mediapipe, tesseract, word2vec
from tests.support import builders

Read = Callable[..., dict[str, Found]]
WEIGHTS = [("conv", "F32", (8, 3, 3, 3)), ("bias", "F32", (8,))]
COUNT = 8 * 27 + 8


def model(at: Path) -> bytes:
    ports = [("image", "F32", (1, 224, 224, 3))], [("hands", "F32", (1, 4))]
    builders.tflite(at / "part.tflite", WEIGHTS, *ports)
    data = (at / "part.tflite").read_bytes()
    (at / "part.tflite").unlink()
    return data


def bundle(parts: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", method) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return stream.getvalue()


def test_a_bundle_is_as_large_as_the_models_in_it(models_root: Path, read: Read) -> None:
    part = model(models_root)
    inner = bundle({"finder.tflite": part, "landmarks.tflite": part})
    (models_root / "hands.task").write_bytes(bundle({"hands.task": inner, "gesture.tflite": part}))
    found = read(models_root)["hands.task"]
    assert found.values["parameter_count"].value == 3 * COUNT
    assert found.values["modalities"].value == ["IMAGE"]
    assert found.status == "READY"


def test_tensors_of_nested_bundles_lie_where_the_file_has_them(tmp_path: Path) -> None:
    data = bundle({"a.task": bundle({"b.tflite": model(tmp_path)})})
    header = mediapipe.read(io.BytesIO(data), len(data))
    flat = bundle({"b.tflite": model(tmp_path)})
    shift = data.index(flat)
    alone = mediapipe.read(io.BytesIO(flat), len(flat))
    assert [t.offset for t in header.tensors] == [t.offset + shift for t in alone.tensors]


@pytest.mark.parametrize("broken", [b"", b"\0" * 40, bytes(4) + b"TFL3" + b"\xff" * 40])
def test_a_broken_model_in_a_bundle_hides_no_other(broken: bytes, tmp_path: Path) -> None:
    data = bundle({"a.tflite": broken, "b.task": broken, "c.tflite": model(tmp_path)})
    assert mediapipe.read(io.BytesIO(data), len(data)).parameter_count == COUNT


def test_models_that_a_bundle_packs_are_not_counted(tmp_path: Path) -> None:
    data = bundle({"a.tflite": model(tmp_path)}, zipfile.ZIP_DEFLATED)
    assert mediapipe.read(io.BytesIO(data), len(data)).parameter_count is None


def test_data_of_tesseract_may_be_packed(models_root: Path, read: Read) -> None:
    builders.traineddata(models_root / "eng.traineddata")
    plain = models_root / "eng.traineddata"
    (models_root / "eng.traineddata.gz").write_bytes(gzip.compress(plain.read_bytes()))
    plain.unlink()
    found = read(models_root)["eng.traineddata.gz"]
    assert (found.values["type"].value, found.values["name"].value) == ("TESSERACT", "eng")


@pytest.mark.parametrize("data", [b"\x1f\x8b\x08", b"\x1f\x8b\x08" + b"\xff" * 50])
def test_what_gzip_cannot_unpack_is_no_data_of_tesseract(data: bytes) -> None:
    with pytest.raises((NotThisFormat, InvalidHeader)):
        tesseract.read(io.BytesIO(data), len(data))


def lines(count: int, width: int, word: str = "w") -> str:
    return "".join(f"{word}{i} {' '.join(['0.25'] * width)}\n" for i in range(count))


def test_word_vectors_without_a_first_line_have_a_width(models_root: Path, read: Read) -> None:
    (models_root / "glove.6B.50d.txt").write_text(lines(20, 50))
    found = read(models_root)["glove.6B.50d.txt"]
    assert found.values["embedding_length"].value == 50
    assert (found.values["type"].value, found.status) == ("WORD2VEC", "READY")
    assert "parameter_count" not in found.values


@pytest.mark.parametrize(
    "text",
    [
        "a question and an answer about 50d vectors\n" * 20,
        lines(20, 5),
        lines(1, 50),
        lines(3, 50) + lines(3, 40),
        "\n" * 50,
    ],
)
def test_other_texts_are_no_word_vectors(text: str) -> None:
    with pytest.raises(NotThisFormat):
        word2vec.read(io.BytesIO(text.encode()), len(text))
