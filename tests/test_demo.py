"""The demo tree: small on disk, quick to make, every format in it, two models broken and one
unsafe.
"""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from discovery.demo.tree import make_demo_tree
from discovery.engine import formats
from discovery.engine.core import format_registry
from discovery.engine.core.config import Discovery
from discovery.engine.core.errors import InvalidHeader, NotAModel, NotThisFormat
from discovery.engine.core.problem_codes import UNSAFE_CODES
from discovery.engine.core.types import Candidate, Found, Header
from discovery.engine.disk.walk import walk
from discovery.engine.identify.identify import identify
from tests.support.timing import loops_of

WEIGHTS = (
    ".safetensors",
    ".gguf",
    ".onnx",
    ".bin",
    ".xml",
    ".pb",
    ".h5",
    ".keras",
    ".tflite",
    ".msgpack",
    ".nemo",
    ".engine",
)
#: CPU time of the demo, as ``tests/support/timing.py`` measures it, and what it takes on disk.
LOOPS, DISK_BYTES = 40, 20_000_000


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    root = tmp_path_factory.mktemp("demo") / "models"
    start = time.thread_time()
    make_demo_tree(root)
    return root, time.thread_time() - start


@pytest.fixture
def tree(made: tuple[Path, float]) -> Path:
    return made[0]


def headers(tree: Path) -> Iterator[tuple[str, Header | Exception]]:
    """Of every weight file; data files that belong to another one are left out."""
    paths = sorted(tree.rglob("*"))
    others = {path.as_posix() for path in paths}
    for path in paths:
        beside = format_registry.is_data(path.as_posix(), others)
        if (
            not path.is_file()
            or path.is_symlink()
            or beside
            or not (path.suffix in WEIGHTS or path.name == "Manifest.json")
        ):
            continue
        with path.open("rb") as stream:
            head = stream.read(512)
            try:
                yield (
                    path.relative_to(tree).as_posix(),
                    formats.read(stream, path.stat().st_size, path.name, head),
                )
            except (NotThisFormat, InvalidHeader) as error:
                yield path.relative_to(tree).as_posix(), error


def models(tree: Path) -> Iterator[Found]:
    settings = Discovery(max_scan_depth=12)
    for item in walk(str(tree), settings):
        if isinstance(item, Candidate):
            with suppress(NotAModel):
                yield from identify(str(tree), item, settings)


def test_it_takes_little_time_and_disk(made: tuple[Path, float]) -> None:
    tree, seconds = made
    found = [path.lstat() for path in tree.rglob("*")]
    assert loops_of(seconds) < LOOPS
    assert sum(status.st_blocks * 512 for status in found) < DISK_BYTES
    assert sum(status.st_size for status in found) > 300_000_000_000


def test_it_follows_the_layout_of_the_guide(tree: Path) -> None:
    assert {path.name for path in tree.iterdir()} == {
        "audio",
        "language",
        "multimodal",
        "specialized",
        "stores",
        "vision",
    }
    for place in (
        "language/chat/llama-2-7b-chat",
        "language/code/codellama-13b",
        "language/reasoning/mixtral-8x7b",
        "vision/clip-vit-large",
    ):
        assert (tree / place / "config.json").is_file()
    for place in (
        "audio/whisper-large-v3",
        "specialized/medical/biogpt-large",
        "specialized/legal/legal-bert",
        "specialized/scientific/scibert-scivocab",
    ):
        assert (tree / place / "README.md").is_file()
    assert (tree / "language/chat/llama-2-7b-chat/metadata.json").is_file()


def test_it_holds_every_format(tree: Path) -> None:
    found = {header.format for _, header in headers(tree) if isinstance(header, Header)}
    assert found >= {
        "safetensors", "gguf", "ggml", "onnx", "pytorch", "openvino", "tensorflow", "keras",
        "tflite", "flax", "coreml", "ctranslate2",
        "tensorrt", "nemo",
    }  # fmt: skip


def test_every_format_is_found_in_it(tree: Path) -> None:
    """As scans find them: some have no suffix of their own, one is the file of another format
    inside a program.
    """
    known = {each.name for each in format_registry.every() if each.read} - {"llamafile"}
    assert known <= {variant.format for found in models(tree) for variant in found.variants} | {
        "rust"
    }


def test_one_file_is_cut_short_one_shard_is_missing_and_all_others_are_whole(tree: Path) -> None:
    broken, unsafe = set(), set()
    for path, header in headers(tree):
        assert isinstance(header, Header), f"{path}: {header}"
        if (header.expected_size or 0) > (tree / path).stat().st_size:
            broken.add(path)
        unsafe |= {path for problem in header.problems if problem.code in UNSAFE_CODES}
        assert path in unsafe or not header.problems, path
    assert broken == {"specialized/medical/biogpt-large/model.safetensors"}
    assert unsafe == {"specialized/medical/chest-xray-densenet/pytorch_model.bin"}
    shards = {path.name for path in (tree / "language/code/codellama-13b").glob("*.safetensors")}
    assert shards == {"model-00001-of-00003.safetensors", "model-00003-of-00003.safetensors"}


def test_no_pickle_is_loaded_and_no_command_run_while_it_is_made_and_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a pickle was loaded or a command run")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    monkeypatch.setattr(os, "system", refuse)
    make_demo_tree(tmp_path / "models")
    assert len(list(headers(tmp_path / "models"))) > 40
