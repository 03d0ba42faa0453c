"""Attributes of HDF5's root group, as h5py writes them in each of the format's ways, and cut or
bent in every place.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.engine.core.errors import InvalidHeader
from discovery.engine.formats import hdf5, keras

CODE = {"class_name": "Sequential", "config": {"layers": [{"class_name": "Lambda", "config": {}}]}}
PLAIN = {
    "class_name": "Sequential",
    "config": {"name": "tiny", "layers": [{"class_name": "Dense", "config": {"units": 2}}]},
}


def written(path: Path, attributes: dict[str, Any], **options: Any) -> bytes:
    with h5py.File(path, "w", **options) as file:
        for name, value in attributes.items():
            file.attrs[name] = value
        file.create_group("model_weights").create_dataset("w", data=[1.0, 2.0])
    return path.read_bytes()


def read(data: bytes) -> Any:
    return keras.read(io.BytesIO(data), len(data))


@pytest.mark.parametrize(
    "options",
    [{}, {"libver": "latest"}, {"libver": ("v108", "v110")}, {"userblock_size": 0}],
    ids=str,
)
@pytest.mark.parametrize(
    "store",
    [lambda text: text, lambda text: text.encode(), lambda text: __import__("numpy").bytes_(text)],
    ids=["text", "bytes", "fixed"],
)
def test_a_configuration_is_read_however_h5py_stores_it(
    store: Callable[[str], Any], options: dict[str, Any], tmp_path: Path
) -> None:
    attributes = {f"other_{n}": n for n in range(6)} | {
        "keras_version": "2.15.0",
        "model_config": store(json.dumps(CODE)),
        "backend": "tensorflow",
    }
    header = read(written(tmp_path / "m.h5", attributes, **options))
    assert "lambda_layer" in [problem.code for problem in header.problems]


def test_a_long_configuration_in_the_global_heap_is_read_to_its_end(tmp_path: Path) -> None:
    long = {
        "class_name": "Sequential",
        "config": {"layers": [*PLAIN["config"]["layers"] * 20_000, *CODE["config"]["layers"]]},
    }
    assert [
        problem.code
        for problem in read(written(tmp_path / "m.h5", {"model_config": json.dumps(long)})).problems
    ] == ["lambda_layer"]


def test_what_is_trained_with_is_looked_at_too(tmp_path: Path) -> None:
    training = {
        "loss": {"module": "my_losses", "class_name": "Own", "config": {}, "registered_name": "Own"}
    }
    header = read(
        written(
            tmp_path / "m.h5",
            {"model_config": json.dumps(PLAIN), "training_config": json.dumps(training)},
        )
    )
    assert [(problem.code, problem.severity) for problem in header.problems] == [
        ("foreign_import", "warning")
    ]
    assert header.metadata["layer_count"] == 1


def test_attributes_without_configurations_name_nothing(tmp_path: Path) -> None:
    assert (
        read(
            written(
                tmp_path / "m.h5",
                {"layer_names": ["Lambda", "dense"], "note": '"class_name": "Lambda"', "n": 3.5},
            )
        ).problems
        == []
    )


def test_texts_of_an_array_are_each_one(tmp_path: Path) -> None:
    data = written(tmp_path / "m.h5", {"layer_names": ["a", "bc"]})
    found = hdf5.attributes(io.BytesIO(data), hdf5.superblock(data[:128]), len(data))
    assert (found.texts, found.complete) == ([("layer_names", b"a"), ("layer_names", b"bc")], True)


def test_attributes_in_a_heap_of_their_own_are_said_to_be_unread(tmp_path: Path) -> None:
    data = written(
        tmp_path / "m.h5", {f"a{n}": "x" * 50 for n in range(40)}, libver="latest", track_order=True
    )
    assert not hdf5.attributes(io.BytesIO(data), hdf5.superblock(data[:128]), len(data)).complete


@pytest.mark.parametrize("options", [{}, {"libver": "latest"}])
def test_a_file_cut_anywhere_is_invalid_or_tells_less(
    options: dict[str, Any], tmp_path: Path
) -> None:
    data = written(tmp_path / "m.h5", {"model_config": json.dumps(CODE)}, **options)
    for end in [*range(8, 400), *range(400, len(data), 37)]:
        try:
            read(data[:end])
        except InvalidHeader:
            continue


@given(st.data())
def test_no_bent_byte_makes_the_reader_stumble(data: st.DataObject) -> None:
    at = data.draw(st.integers(8, len(BENT) - 1))
    bent = BENT[:at] + data.draw(st.binary(min_size=1, max_size=8)) + BENT[at + 8 :]
    with contextlib.suppress(InvalidHeader):
        read(bent)


def _bent() -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as made:
        made.attrs["model_config"] = json.dumps(CODE)
        made.attrs["fixed"] = b"text"
    return file.getvalue()


BENT = _bent()
