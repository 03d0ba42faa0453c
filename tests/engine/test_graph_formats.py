"""What is read from OpenVINO, TensorFlow, Keras and TensorFlow Lite, and hostile files of each."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from struct import pack

import pytest

from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.formats import keras, openvino, tensorflow, tflite
from tests.engine.cases import PORTS, TENSORS, build, read
from tests.support import builders

# OpenVINO


def test_openvino_says_how_long_the_weights_must_be(tmp_path: Path) -> None:
    header = read(openvino, build("openvino", tmp_path))
    assert header.metadata["weights_size"] == 96 == (tmp_path / "m.bin").stat().st_size
    assert (
        header.metadata["name"],
        header.metadata["version"],
        header.metadata["layer_count"],
    ) == ("torch_jit", "11", 5)


def test_openvino_counts_compressed_weights_once_and_leaves_out_scales_and_shapes(
    tmp_path: Path,
) -> None:
    tensors = [
        ("w", "U8", (8, 8)),
        ("w/zero_point", "U8", (8, 1)),
        ("w/scale", "F16", (8, 1)),
        ("axes", "I64", (2,)),
    ]
    builders.openvino(tmp_path / "m.xml", tensors, *PORTS)
    header = read(openvino, (tmp_path / "m.xml").read_bytes())
    assert (header.parameter_count, header.quantization, header.dtype) == (64, "INT8", None)


def test_openvino_reads_open_dimensions_as_unknown() -> None:
    layer = (
        '<layer id="0" name="ids" type="Parameter"><data shape="?,-1,1..8,16"'
        ' element_type="i64"/></layer>'
    )
    header = read(openvino, f'<net name="n" version="11"><layers>{layer}</layers></net>'.encode())
    assert header.metadata["inputs"] == [
        {"name": "ids", "dtype": "I64", "shape": [None, None, None, 16]}
    ]


LAUGHS = (
    '<!DOCTYPE net [<!ENTITY a "ha">'
    + "".join(f'<!ENTITY {chr(98 + i)} "{f"&{chr(97 + i)};" * 10}">' for i in range(9))
    + "]>"
)
OPENVINO_HOSTILE = {
    "a billion laughs": LAUGHS.encode() + b'<net name="&j;"><layers/></net>',
    "an external entity": (
        b'<!DOCTYPE net [<!ENTITY x SYSTEM "file:///etc/passwd">]><net><layers/></net>'
    ),
    "elements without end": b'<net name="n" version="11">' + b"<a/>" * 600_000,
    "nesting without end": b'<net name="n" version="11">' + b"<a>" * 600_000,
    "an endless tag": b'<net name="n" version="11"><layer name="' + b"x" * (9 << 20),
    "a million attributes": (
        b'<net name="n" version="11"><layer ' + b" ".join(b'a%d="1"' % i for i in range(1_000_000))
    ),
    "an offset of letters": (
        b'<net><layers><layer type="Const"><data element_type="f32" offset="x"'
        b' size="4"/></layer></layers></net>'
    ),
    "an offset of 5,000 digits": (
        b'<net><layers><layer type="Const"><data offset="'
        + b"9" * 5_000
        + b'"/></layer></layers></net>'
    ),
    "no layers": b'<net name="n" version="11"></net>',
    "an unclosed tag": b'<net name="n" version="11"><layers><layer>',
}


@pytest.mark.parametrize("data", OPENVINO_HOSTILE.values(), ids=OPENVINO_HOSTILE.keys())
def test_hostile_openvino_is_refused(data: bytes) -> None:
    with pytest.raises((InvalidHeader, NotThisFormat)):
        read(openvino, data)


def test_other_xml_is_not_openvino() -> None:
    with pytest.raises(NotThisFormat):
        read(openvino, b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>')


# TensorFlow


def test_a_savedmodel_gives_tags_version_and_signature(tmp_path: Path) -> None:
    metadata = read(tensorflow, build("savedmodel", tmp_path)).metadata
    assert (metadata["schema_version"], metadata["tags"], metadata["tensorflow_version"]) == (
        1,
        ["serve"],
        "2.16.1",
    )
    assert set(metadata["signatures"]) == {"serving_default"}


def test_the_index_of_variables_names_the_data_files_it_needs(tmp_path: Path) -> None:
    header = read(tensorflow, build("variables", tmp_path))
    [external] = header.externals
    assert (external.location, external.end) == ("<stem>.data-00000-of-00001", 96)


def test_optimizer_slots_are_no_parameters(tmp_path: Path) -> None:
    builders.savedmodel(
        tmp_path, [*TENSORS, ("layer.0.weight/.OPTIMIZER_SLOT/optimizer/m", "F32", (4, 3))], *PORTS
    )
    assert (
        read(tensorflow, (tmp_path / "variables/variables.index").read_bytes()).parameter_count
        == 24
    )


@pytest.mark.parametrize(
    "data",
    [
        b"\x08\x01\x12" + b"\xff" * 12,
        b"\x08\x01\x12\xff\xff\xff\xff\x0f",
        b"\x08\x01\x12\x00" + b"\x18\x01" * 200_000,
        b"\x08\x01\x12\x00",
    ],
)
def test_hostile_savedmodels_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidHeader):
        read(tensorflow, data)


# Keras


def test_a_keras_archive_gives_version_class_and_layers(tmp_path: Path) -> None:
    header = read(keras, build("keras", tmp_path))
    expected = {
        "container": "keras",
        "keras_version": "3.5.0",
        "class_name": "Functional",
        "name": "functional",
        "layer_count": 3,
        "weights_size": 4096,
    }
    assert {key: header.metadata[key] for key in expected} == expected


def archive(
    config: object, members: tuple[str, ...] = ("metadata.json", "model.weights.h5")
) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("config.json", config if isinstance(config, bytes) else json.dumps(config))
        for name in members:
            target.writestr(name, "{}")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("layer", "code"),
    [
        (
            {"class_name": "Lambda", "config": {"function": ["4wEAAAA=", None, None]}},
            "lambda_layer",
        ),
        (
            {
                "class_name": "Dense",
                "config": {"activation": {"class_name": "__lambda__", "config": {"code": "4wEA"}}},
            },
            "lambda_layer",
        ),
        ({"module": "os", "class_name": "system", "config": {}}, "unsafe_import"),
        (
            {"module": "my_layers.attention", "class_name": "Attention", "config": {}},
            "foreign_import",
        ),
    ],
)
def test_code_that_keras_would_run_is_a_problem(layer: object, code: str) -> None:
    header = read(keras, archive({"class_name": "Sequential", "config": {"layers": [layer]}}))
    assert [problem.code for problem in header.problems] == [code]


def test_keras_s_own_modules_are_no_problem() -> None:
    layers = [
        {"module": module, "class_name": "X"}
        for module in ("keras.layers", "keras_hub.models", "builtins", "tensorflow.python")
    ]
    assert not read(keras, archive({"config": {"layers": layers}})).problems


KERAS_HOSTILE = {
    "config nested 100,000 deep": archive(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "config that inflates a thousandfold": archive(b'{"a":"' + b"x" * (40 << 20) + b'"}'),
    "config that is a list": archive([]),
    "config with a number of 5,000 digits": archive(b'{"a":' + b"9" * 5_000 + b"}"),
    "a directory of 4 GB": archive({})[:-10] + pack("<II", 0xFFFF_FFF0, 0) + b"\0\0",
}


@pytest.mark.parametrize("data", KERAS_HOSTILE.values(), ids=KERAS_HOSTILE.keys())
def test_hostile_keras_archives_are_refused(data: bytes) -> None:
    with pytest.raises((InvalidHeader, NotThisFormat)):
        read(keras, data)


def test_a_keras_archive_without_weights_is_incomplete() -> None:
    assert [problem.code for problem in read(keras, archive({}, ("metadata.json",))).problems] == [
        "weights_missing"
    ]


def test_an_hdf5_file_must_be_as_long_as_its_superblock_says(tmp_path: Path) -> None:
    assert read(keras, build("hdf5", tmp_path)[:400]).expected_size == 900


# TensorFlow Lite


def test_tflite_gives_version_description_and_quantization(tmp_path: Path) -> None:
    builders.tflite(
        tmp_path / "m.tflite",
        [("w", "I8", (16, 16)), ("b", "I32", (16,))],
        *PORTS,
        description="Made by a test",
    )
    header = read(tflite, (tmp_path / "m.tflite").read_bytes())
    assert (
        header.metadata["version"],
        header.metadata["description"],
        header.metadata["name"],
    ) == (3, "Made by a test", "main")
    assert (header.parameter_count, header.quantization, header.dtype) == (256, "INT8", None)


def test_tflite_tensors_without_data_hold_no_parameters(tmp_path: Path) -> None:
    assert {tensor.name for tensor in read(tflite, build("tflite", tmp_path)).tensors} == {
        name for name, _, _ in TENSORS
    }


@pytest.mark.parametrize(
    "data",
    [
        pack("<I4s", 1 << 31, b"TFL3"),
        pack("<I4s", 8, b"TFL3") + pack("<i", 1 << 30) + bytes(64),
        pack("<I4si", 8, b"TFL3", -4) + b"\xff" * 64,
        pack("<I4sHHHHHHi6I", 20, b"TFL3", 14, 24, 0, 0, 4, 0, 12, 4, 0x7FFF_FFFF, 0, 0, 0, 0)
        + bytes(64),
    ],
)
def test_hostile_flatbuffers_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidHeader):
        read(tflite, data)
