"""Loaders with the real libraries: good files pass, broken ones fail with the reason, what is
missing is named.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from struct import pack

import onnx
import pytest
from onnx import TensorProto, helper

from discovery.demo.writers.onnx import Node
from discovery.loading import supervise
from discovery.loading.__main__ import attempt
from discovery.loading.job import Job, Outcome, Result
from tests.loading.jobs import job
from tests.support import builders

MIB = 1 << 20

TENSORS = [
    ("a", "F32", (3, 4)),
    ("b", "BF16", (5,)),
    ("c", "F8_E4M3", (8,)),
    ("d", "BOOL", (2,)),
    ("e", "F16", ()),
    ("f", "I64", (0, 4)),
]


def failure(outcome: Outcome) -> str:
    assert outcome.result is Result.FAILED, outcome
    return outcome.message


def flip(path: Path, position: int) -> None:
    raw = bytearray(path.read_bytes())
    raw[position] ^= 0xFF
    path.write_bytes(raw)


def safetensors(root: Path) -> Job:
    builders.safetensors(root / "model.safetensors", TENSORS)
    return job(root, "model.safetensors")


def gguf(root: Path) -> Job:
    builders.gguf_model(root / "model.gguf", "model", builders.Sizes(hidden=256), "Q4_K_M")
    return job(root, "model.gguf", type="LLAMA_CPP", format="gguf")


def graph(root: Path) -> Job:
    builders.onnx(
        root / "model.onnx",
        [("w", "F32", (4, 4))],
        [("x", "F32", ("batch", 4))],
        [("y", "F32", ("batch", 4))],
    )
    return job(root, "model.onnx", type="ONNX", format="onnx")


def pipeline(root: Path) -> Job:
    builders.diffusers(root / "pipe")
    files = sorted(str(path.relative_to(root)) for path in root.rglob("*.safetensors"))
    return job(root, *files, type="DIFFUSERS")


FORMATS: list[Callable[[Path], Job]] = [safetensors, gguf, graph, pipeline]


@pytest.mark.parametrize("make", FORMATS)
def test_a_good_model_passes_in_a_real_child(tmp_path: Path, make: Callable[[Path], Job]) -> None:
    outcome = supervise.run(make(tmp_path), wall_seconds=120)
    assert outcome.result is Result.PASSED, outcome
    assert (
        outcome.loader
        == {"safetensors": "safetensors", "gguf": "gguf", "graph": "onnx", "pipeline": "diffusers"}[
            make.__name__
        ]
    )
    assert outcome.seconds is not None
    assert outcome.peak_memory_bytes is not None
    assert 10 * MIB < outcome.peak_memory_bytes < 1024 * MIB


def test_every_tensor_is_read_whether_numpy_knows_its_type_or_not(tmp_path: Path) -> None:
    assert "opened 1 file and read all 6 tensors (70 B)." in attempt(safetensors(tmp_path)).message


def test_shards_are_read_one_after_the_other(tmp_path: Path) -> None:
    paths = builders.safetensors_shards(tmp_path, TENSORS, 3)
    assert (
        "opened 3 files and read all 6 tensors"
        in attempt(job(tmp_path, *(path.name for path in paths))).message
    )


@pytest.mark.parametrize("make", FORMATS[:3])
def test_a_flipped_byte_in_the_header_fails_with_the_reason(
    tmp_path: Path, make: Callable[[Path], Job]
) -> None:
    task = make(tmp_path)
    for position in (0, 5, 7) if make is not graph else (0,):
        flip(tmp_path / task.files[0], position)
        message = failure(attempt(task))
        assert task.files[0] in message
        flip(tmp_path / task.files[0], position)
    assert attempt(task).result is Result.PASSED


@pytest.mark.parametrize("make", FORMATS[:3])
def test_a_file_that_is_cut_short_fails_before_any_library_sees_it(
    tmp_path: Path, make: Callable[[Path], Job]
) -> None:
    task = make(tmp_path)
    os.truncate(tmp_path / task.files[0], (tmp_path / task.files[0]).stat().st_size // 2)
    assert task.files[0] in failure(attempt(task))


ARCHITECTURE = b"general.architecture"
OLD_GGUF = (
    pack("<4s4I", b"GGUF", 1, 0, 1, len(ARCHITECTURE)) + ARCHITECTURE + pack("<II", 8, 5) + b"llama"
)
NEW_GGUF = (
    pack("<4sI3Q", b"GGUF", 3, 1, 1, len(ARCHITECTURE))
    + ARCHITECTURE
    + pack("<IQ", 8, 5)
    + b"llama"
    + pack("<QcIQIQ", 1, b"w", 1, 32, 250, 0)
)


@pytest.mark.parametrize(("raw", "said"), [(OLD_GGUF, "version 1"), (NEW_GGUF, "has the type 250")])
def test_a_gguf_that_its_own_library_does_not_read_is_unsupported_and_not_broken(
    tmp_path: Path, raw: bytes, said: str
) -> None:
    (tmp_path / "w.gguf").write_bytes(raw + bytes(256))
    outcome = attempt(job(tmp_path, "w.gguf", type="LLAMA_CPP", format="gguf"))
    assert outcome.result is Result.UNSUPPORTED, outcome
    assert said in outcome.message


def test_a_tensor_larger_than_the_memory_is_read_a_piece_at_a_time(tmp_path: Path) -> None:
    builders.safetensors(
        tmp_path / "model.safetensors", [("w", "F32", (1 << 28,)), ("v", "F16", (1 << 24,))]
    )
    outcome = supervise.run(
        job(tmp_path, "model.safetensors", memory_bytes=256 * MIB), wall_seconds=120
    )
    assert "read all 2 tensors (1.1 GB)" in outcome.message


def test_a_graph_whose_weights_do_not_fit_fails_and_says_so(tmp_path: Path) -> None:
    nodes = [Node("Cast", ["w"], ["z"], attributes={"to": 1}), Node("ReduceSum", ["z"], ["y"])]
    builders.onnx(
        tmp_path / "model.onnx",
        [("w", "F16", (1 << 15, 1 << 14))],
        [],
        [("y", "F32", (1, 1))],
        external="data",
        nodes=nodes,
    )
    outcome = supervise.run(
        job(tmp_path, "model.onnx", format="onnx", memory_bytes=256 * MIB), wall_seconds=120
    )
    assert failure(outcome) == "It needs more memory than the 0.2 GiB that the test may use."


def test_gguf_shards_and_big_files_are_mapped_not_copied(tmp_path: Path) -> None:
    for number in (1, 2):
        builders.gguf(
            tmp_path / f"m-0000{number}-of-00002.gguf",
            {"general.architecture": "llama"},
            [(f"blk.{number}.w", "F32", (1 << 15, 1 << 12))],
        )
    task = job(
        tmp_path,
        "m-00001-of-00002.gguf",
        "m-00002-of-00002.gguf",
        type="LLAMA_CPP",
        format="gguf",
        memory_bytes=400 * MIB,
    )
    outcome = supervise.run(task, wall_seconds=120)
    assert "opened 2 files and read all 2 tensors (1.1 GB)" in outcome.message


@pytest.mark.parametrize(
    ("format_name", "file", "missing", "said"),
    [
        ("onnx", "model.onnx", "onnxruntime",
            'onnxruntime is not installed here; it comes with pip install -e ".[load]"'),
        ("pytorch", "model.pt", "torch",
            'torch is not installed here; it comes with pip install -e ".[torch]"'),
        ("gguf", "model.gguf", "gguf",
            "gguf is not installed here; it comes with pip install -e ."),
        ("safetensors", "model.safetensors", "safetensors",
            "safetensors is not installed here; it comes with pip install -e ."),
    ],
)  # fmt: skip
def test_a_missing_library_is_named_with_the_extra_that_brings_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    format_name: str,
    file: str,
    missing: str,
    said: str,
) -> None:
    graph(tmp_path), gguf(tmp_path), safetensors(tmp_path)
    builders.torch_zip(tmp_path / "model.pt", [("w", "F32", (2,))])
    monkeypatch.setitem(sys.modules, missing, None)
    outcome = attempt(job(tmp_path, file, format=format_name))
    assert (outcome.result, outcome.message) == (Result.UNSUPPORTED, said)


@pytest.mark.parametrize(
    ("kind", "format_name", "said"),
    [
        ("OPENVINO", "openvino", "There is no test loader for files of the format openvino."),
        ("TRANSFORMERS", "flax", "There is no test loader for files of the format flax."),
        ("PLUGIN", None, "There is no test loader for models of the type PLUGIN."),
    ],
)
def test_a_format_without_a_loader_is_unsupported(
    tmp_path: Path, kind: str, format_name: str | None, said: str
) -> None:
    outcome = attempt(job(tmp_path, "model", type=kind, format=format_name))
    assert (outcome.result, outcome.message, outcome.loader) == (Result.UNSUPPORTED, said, "")


def test_a_transformers_model_is_read_by_safetensors_where_transformers_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    builders.transformers(tmp_path / "bert", family="bert")
    outcome = attempt(job(tmp_path, "bert/model.safetensors", type="TRANSFORMERS"))
    assert (outcome.result, outcome.loader) == (Result.PASSED, "safetensors")
    assert outcome.message.endswith('with Transformers as well: pip install -e ".[torch]"')


def test_an_unsafe_pickle_is_refused_whatever_is_installed(tmp_path: Path) -> None:
    builders.pickle_with_import(tmp_path / "model.pt", "posix", "system", "touch executed")
    outcome = attempt(job(tmp_path, "model.pt", format="pytorch"))
    assert outcome.result is Result.REFUSED
    assert outcome.message.startswith("It is unsafe: model.pt")
    assert "posix.system" in outcome.message


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_out_of_the_root_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    safetensors(tmp_path)
    (root / "model.safetensors").symlink_to(tmp_path / "model.safetensors")
    (root / "folder").symlink_to(tmp_path)
    for name in ("model.safetensors", "folder/model.safetensors", "../model.safetensors"):
        outcome = attempt(job(root, name))
        assert (outcome.result, outcome.message) == (
            Result.REFUSED,
            f"{name} leads out of the root: it is not opened.",
        )


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_a_link_inside_the_root_is_followed_as_in_the_hub_cache(tmp_path: Path) -> None:
    builders.onnx(
        tmp_path / "blobs/0a1b",
        [("w", "F32", (4, 4))],
        [("x", "F32", (1, 4))],
        [("y", "F32", (1, 4))],
    )
    (tmp_path / "snapshots").mkdir()
    (tmp_path / "snapshots/model.onnx").symlink_to("../blobs/0a1b")
    assert attempt(job(tmp_path, "snapshots/model.onnx", format="onnx")).result is Result.PASSED


def test_a_file_that_is_gone_and_a_folder_in_its_place_are_told(tmp_path: Path) -> None:
    (tmp_path / "folder.safetensors").mkdir()
    for name in ("gone.safetensors", "folder.safetensors"):
        assert (
            failure(attempt(job(tmp_path, name)))
            == f"{name} is not there any more, or is not a regular file."
        )


@pytest.mark.skipif(sys.platform != "linux", reason="other systems insist on Unicode")
def test_a_name_that_is_not_utf8_loads(tmp_path: Path) -> None:
    name = os.fsdecode(b"bad\xff.safetensors")
    safetensors(tmp_path)
    (tmp_path / "model.safetensors").rename(tmp_path / name)
    assert supervise.run(job(tmp_path, name), wall_seconds=120).result is Result.PASSED


def save(
    root: Path,
    nodes: list[onnx.NodeProto],
    inputs: list[tuple[str, int, list[int | str]]],
    rank: int,
    **constants: onnx.TensorProto,
) -> Job:
    """An ONNX model of these nodes with the output ``y``."""
    ports = [helper.make_tensor_value_info(name, kind, shape) for name, kind, shape in inputs]
    made = helper.make_graph(
        nodes,
        "g",
        ports,
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, list("abcd"[:rank]))],
        list(constants.values()),
    )
    onnx.save(
        helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
        root / "model.onnx",
    )
    return job(root, "model.onnx", type="ONNX", format="onnx")


def test_open_sizes_are_tried_until_one_runs(tmp_path: Path) -> None:
    kernel = helper.make_tensor("w", TensorProto.FLOAT, [1, 3, 5, 5], [0.5] * 75)
    task = save(
        tmp_path,
        [helper.make_node("Conv", ["x", "w"], ["y"])],
        [("x", TensorProto.FLOAT, ["n", 3, "height", "width"])],
        4,
        w=kernel,
    )
    assert attempt(task).message.endswith(
        "model.onnx loaded with 1 input and 1 output and run once on made-up values."
    )


def test_a_graph_whose_open_sizes_cannot_be_guessed_still_loads(tmp_path: Path) -> None:
    matrix = helper.make_tensor("w", TensorProto.FLOAT, [7, 2], [0.5] * 14)
    outcome = attempt(
        save(
            tmp_path,
            [helper.make_node("MatMul", ["x", "w"], ["y"])],
            [("x", TensorProto.FLOAT, ["a", "b"])],
            2,
            w=matrix,
        )
    )
    assert outcome.result is Result.PASSED
    assert "no run succeeded, for the sizes it leaves open had to be guessed" in outcome.message


def test_a_graph_that_fails_on_its_own_sizes_fails(tmp_path: Path) -> None:
    shape = [
        helper.make_node("Add", ["x", "five"], ["moved"]),
        helper.make_node("Cast", ["moved"], ["to"], to=TensorProto.INT64),
    ]
    five = helper.make_tensor("five", TensorProto.FLOAT, [2], [5.0, 5.0])
    task = save(
        tmp_path,
        [*shape, helper.make_node("Reshape", ["x", "to"], ["y"])],
        [("x", TensorProto.FLOAT, [2])],
        2,
        five=five,
    )
    assert "running it on made-up values fails" in failure(attempt(task))


def test_what_the_checker_objects_to_is_told_where_the_runtime_does_not_mind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ports = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [2]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, None),
    ]
    made = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "g", ports[:1], ports[1:])
    onnx.save(
        helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8),
        tmp_path / "model.onnx",
    )
    task = job(tmp_path, "model.onnx", type="ONNX", format="onnx")
    outcome = attempt(task)
    assert outcome.result is Result.PASSED
    assert "onnx.checker objects to model.onnx: Field 'shape'" in outcome.message
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert failure(attempt(task)).startswith("onnx.checker objects to model.onnx")


def test_operators_that_only_a_library_of_its_own_knows_are_unsupported(tmp_path: Path) -> None:
    node = helper.make_node("Tokenize", ["x"], ["y"], domain="my.own")
    ports = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [1]),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, [1]),
    ]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("my.own", 1)]
    made = helper.make_model(
        helper.make_graph([node], "g", ports[:1], ports[1:]), opset_imports=opsets, ir_version=8
    )
    onnx.save(made, tmp_path / "model.onnx")
    outcome = attempt(job(tmp_path, "model.onnx", type="ONNX", format="onnx"))
    assert outcome.result is Result.UNSUPPORTED
    assert "operators of a library of its own" in outcome.message


def test_external_data_are_loaded_with_the_graph_and_missed_when_they_are_gone(
    tmp_path: Path,
) -> None:
    builders.onnx(
        tmp_path / "model.onnx",
        [("w", "F32", (64, 64))],
        [("x", "F32", (1, 4))],
        [("y", "F32", (1, 4))],
        external="model.onnx_data",
    )
    task = job(tmp_path, "model.onnx", type="ONNX", format="onnx")
    assert attempt(task).result is Result.PASSED
    (tmp_path / "model.onnx_data").unlink()
    assert "model.onnx_data" in failure(attempt(task))


def test_external_data_outside_the_folder_are_refused(tmp_path: Path) -> None:
    builders.onnx(
        tmp_path / "model/a.onnx",
        [("w", "F32", (64, 64))],
        [("x", "F32", (1, 4))],
        [("y", "F32", (1, 4))],
        external="a_data",
    )
    path = tmp_path / "model/a.onnx"
    path.write_bytes(path.read_bytes().replace(b"a_data", b"../x.d"))
    assert (
        attempt(job(tmp_path, "model/a.onnx", type="ONNX", format="onnx")).result is Result.REFUSED
    )


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (
            lambda pipe: [path.unlink() for path in (pipe / "scheduler").iterdir()],
            "the folder scheduler is empty",
        ),
        (lambda pipe: (pipe / "unet").rename(pipe / "u-net"), "there is no folder unet"),
        (
            lambda pipe: (pipe / "model_index.json").write_text(
                '{"_class_name": "P", "../x": ["diffusers", "UNet"]}'
            ),
            "'../x' is not a folder name",
        ),
        (
            lambda pipe: (pipe / "model_index.json").write_text('{"_class_name": "P"}'),
            "names no components",
        ),
        (
            lambda pipe: (pipe / "model_index.json").write_text("{"),
            "model_index.json cannot be read",
        ),
    ],
)
def test_a_pipeline_with_a_component_missing_fails_and_names_it(
    tmp_path: Path, spoil: Callable[[Path], object], said: str
) -> None:
    task = pipeline(tmp_path)
    spoil(tmp_path / "pipe")
    assert said in failure(attempt(task))


def test_a_component_whose_weights_are_gone_is_named(tmp_path: Path) -> None:
    task = pipeline(tmp_path)
    (tmp_path / "pipe/vae/diffusion_pytorch_model.safetensors").unlink()
    left = job(tmp_path, *(name for name in task.files if "/vae/" not in name), type="DIFFUSERS")
    assert (
        failure(attempt(left))
        == "model_index.json names components that are not whole: vae (AutoencoderKL) has no"
        " weights."
    )
