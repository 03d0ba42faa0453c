"""The ledger: each byte under a root counts once, under what it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discovery.engine.core.config import Discovery
from discovery.engine.core.errors import FormatsLeftOut, NotAModel
from discovery.engine.core.types import FileEntry, Problem
from discovery.engine.disk.ledger import LARGE, Ledger, Use
from discovery.engine.disk.walk import walk
from discovery.engine.identify import unrecognized
from discovery.engine.identify.identify import identify
from tests.support import builders


def booked(root: Path, config: Discovery | None = None) -> Ledger:
    config = config or Discovery()
    ledger = Ledger(str(root))
    for item in walk(str(root), config, ledger=ledger):
        if isinstance(item, Problem):
            continue
        try:
            ledger.read(item, identify(str(root), item, config))
        except FormatsLeftOut as error:
            ledger.formats_left_out(item, error.formats)
        except NotAModel:
            ledger.read(item, [])
    ledger.close()
    return ledger


def on_disk(root: Path) -> tuple[int, int]:
    """(files, bytes) of the regular files below ``root``."""
    found = [
        os.lstat(os.path.join(folder, name)).st_size
        for folder, _, names in os.walk(root)
        for name in names
        if os.path.isfile(os.path.join(folder, name))
        and not os.path.islink(os.path.join(folder, name))
    ]
    return len(found), sum(found)


def total(ledger: Ledger) -> tuple[int, int]:
    tallies = ledger.tallies.values()
    return sum(each.files for each in tallies), sum(each.bytes for each in tallies)


def sparse(path: Path, size: int, head: bytes = b"") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(size)


def test_everything_there_is_counts_once(tmp_path: Path) -> None:
    builders.transformers(tmp_path / "model")
    sparse(tmp_path / "model/extra.xyz", 3 * LARGE, b"?!")
    sparse(tmp_path / "model/small.xyz", 10)
    sparse(tmp_path / "data/table.parquet", 2 * LARGE, b"PAR1")
    sparse(tmp_path / "data/notes.txt", 20)
    sparse(tmp_path / "data/.DS_Store", 30)
    sparse(tmp_path / ".git/objects/pack", 4 * LARGE)
    sparse(tmp_path / "tmp/x.tmp", 5)
    (tmp_path / "data/link").symlink_to(tmp_path / "data/table.parquet")
    ledger = booked(tmp_path, Discovery(exclude_patterns=("*.tmp",)))
    assert total(ledger) == on_disk(tmp_path)
    sizes = {use: tally.bytes for use, tally in ledger.tallies.items()}
    assert sizes[Use.UNRECOGNIZED] == 5 * LARGE
    assert sizes[Use.JUNK] == 4 * LARGE + 30
    assert sizes[Use.EXCLUDED] == 5
    assert [(stray.path, stray.place) for stray in ledger.strays] == [
        ("model/extra.xyz", "model"),
        ("data/table.parquet", ""),
    ]


def test_what_the_walk_does_not_reach_is_excluded(tmp_path: Path) -> None:
    sparse(tmp_path / "a/b/c/d/deep.gguf", 2 * LARGE)
    sparse(tmp_path / "datasets--acme--texts/blobs/x", LARGE)
    sparse(tmp_path / "left/out/file", 7)
    config = Discovery(max_scan_depth=2, exclude_patterns=("left",))
    ledger = booked(tmp_path, config)
    assert total(ledger) == on_disk(tmp_path)
    assert ledger.tallies[Use.EXCLUDED].bytes == 3 * LARGE + 7


def test_formats_that_are_left_out_are_told(tmp_path: Path) -> None:
    builders.safetensors(tmp_path / "one.safetensors", [("w", "F32", (4, 4))])
    ledger = booked(tmp_path, Discovery(supported_formats=("gguf",)))
    assert total(ledger) == on_disk(tmp_path)
    assert ledger.left_out_formats["safetensors"].files == 1
    assert ledger.tallies[Use.EXCLUDED].files == 1


def test_blobs_that_models_share_count_once(tmp_path: Path) -> None:
    builders.ollama_store(tmp_path / "store", "tiny", ["latest", "small"])
    ledger = booked(tmp_path)
    assert total(ledger) == on_disk(tmp_path)
    assert ledger.tallies[Use.UNRECOGNIZED].files == 0


@pytest.mark.parametrize("count", [1, 2])
def test_weights_that_an_onnx_file_names_are_its_model_s(tmp_path: Path, count: int) -> None:
    for name in ("hears", "sees")[:count]:
        tensors = [("w", "F32", (600, 600))]
        ports = [("x", "F32", (1, 3))], [("y", "F32", (1, 2))]
        builders.onnx(tmp_path / f"{name}.onnx", tensors, *ports, external=f"{name}.blob.bin")
    sparse(tmp_path / "else.bin", 2 * LARGE, bytes(range(1, 200)))
    ledger = booked(tmp_path)
    assert total(ledger) == on_disk(tmp_path)
    assert [stray.path for stray in ledger.strays] == ["else.bin"]


def test_what_lies_in_folders_of_a_model_counts_once(tmp_path: Path) -> None:
    home = tmp_path / "Sample-1B-GGUF"
    for kind in ("Q4_K_M", "Q8_0"):
        (home / kind).mkdir(parents=True)
        sizes = builders.Sizes(hidden=256)
        builders.gguf_model(home / kind / f"Sample-1B-{kind}.gguf", "Sample 1B", sizes, kind)
    builders.transformers(tmp_path / "run/checkpoint-5")
    builders.transformers(tmp_path / "run/checkpoint-50")
    builders.gguf_folder(tmp_path / "Speaks")
    sparse(tmp_path / "Speaks/voices/anna.pt", 2 * LARGE, b"PK")
    ledger = booked(tmp_path)
    assert total(ledger) == on_disk(tmp_path)
    assert {use for use, tally in ledger.tallies.items() if tally.bytes > LARGE} <= {
        Use.MODEL,
        Use.JUNK,
    }


def test_an_unchanged_candidate_counts_as_it_did(tmp_path: Path) -> None:
    builders.transformers(tmp_path / "model")
    sparse(tmp_path / "model/extra.xyz", 3 * LARGE)
    sparse(tmp_path / "loose.safetensors", 2 * LARGE, b"no")
    first, again = booked(tmp_path), Ledger(str(tmp_path))
    for stray in first.strays:
        again.kept.setdefault(stray.place, set()).add(stray.path)
    for item in walk(str(tmp_path), Discovery(), ledger=again):
        assert not isinstance(item, Problem)
        again.unchanged(item, is_model=True)
    again.close()
    assert {use: tally.bytes for use, tally in again.tallies.items()} == {
        use: tally.bytes for use, tally in first.tallies.items()
    }
    assert again.strays == first.strays


_NAMES = st.sampled_from(
    [
        "a.safetensors",
        "config.json",
        "x.bin",
        "y.gguf",
        "README.md",
        "z",
        ".git",
        "onnx",
        "m",
        "t.tmp",
    ]
)


@settings(max_examples=40, deadline=None)
@given(paths=st.sets(st.lists(_NAMES, min_size=1, max_size=5).map(tuple), max_size=12))
def test_any_tree_adds_up(
    paths: set[tuple[str, ...]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("root")
    for number, parts in enumerate(sorted(paths)):
        path = root.joinpath(*parts)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x" * (number + 1))
        except OSError:  # a folder is a file already, or the other way round
            continue
    ledger = booked(root, Discovery(exclude_patterns=("*.tmp",)))
    assert total(ledger) == on_disk(root)


@pytest.mark.parametrize(
    ("head", "name", "guess"),
    [
        (b"PAR1....", "table", "a Parquet table"),
        (b"\x7fELF\2\1", "tool", "a program or library for Linux (ELF)"),
        (b"\0" * 64, "model.gguf", "only zeros at first: a preallocated or unfinished file"),
        (b"GGUF\3\0\0\0", "model.gguf.part", "an unfinished download"),
        (b"\x80\4\x95", "thing", "a Python pickle"),
        (b'{"a": 1}', "things", "JSON"),
        ("größe".encode()[:-1] + "é".encode()[:1], "words", "text"),
        (b"\xfe\x01\x02\x03", "unknown", ""),
        (b"", "empty", ""),
    ],
)
def test_first_bytes_give_a_guess(head: bytes, name: str, guess: str) -> None:
    assert unrecognized.guess(head, name) == guess


def test_a_file_that_cannot_be_read_is_told_so(tmp_path: Path) -> None:
    glimpse = unrecognized.look(str(tmp_path), FileEntry("gone", 1, 0, 0))
    assert glimpse.first_bytes == b""
    assert glimpse.guess.startswith("cannot be read: ")


def test_onnx_files_of_one_folder_share_the_list_of_what_may_be_their_data(tmp_path: Path) -> None:
    for number in range(20):
        sparse(tmp_path / f"net{number}.onnx", 10)
        sparse(tmp_path / f"part{number}", 10)
    candidates = [
        item for item in walk(str(tmp_path), Discovery()) if not isinstance(item, Problem)
    ]
    assert len(candidates) == 20
    assert len({id(candidate.shared) for candidate in candidates}) == 1
