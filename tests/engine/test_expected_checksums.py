"""What others say a file should hold: every source, and what hostile lists try."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.engine.core.types import FileEntry
from discovery.engine.integrity.checksum_lists import MAX_LINES, MAX_LIST_BYTES, is_list, parse
from discovery.engine.integrity.expected_checksums import Expected, PublishedChecksums, vouchers
from tests.support import builders

A, B = "a1" * 32, "b2" * 32


def entries(root: Path, place: str = ".") -> list[FileEntry]:
    """Every file below ``place``, with the path that it really has."""
    found = []
    for path in sorted((root / place).rglob("*")):
        if path.is_file() and ".cache" not in path.parts:
            real = os.path.relpath(os.path.realpath(path), os.path.realpath(root))
            found.append(
                FileEntry(
                    str(path.relative_to(root)), path.stat().st_size, 0, path.stat().st_ino, real
                )
            )
    return found


def ask(root: Path, place: str = ".") -> PublishedChecksums:
    return vouchers(os.path.realpath(root), place, entries(root, place))


def write(path: Path, content: str = "x") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def record(folder: Path, name: str, etag: str) -> None:
    write(
        folder / ".cache/huggingface/download" / f"{name}.metadata",
        f"{'c' * 40}\n{etag}\n1712656091.123\n",
    )


def test_the_record_of_a_download_names_the_sha256_of_lfs_files_alone(tmp_path: Path) -> None:
    for name in ("model.safetensors", "config.json", "onnx/model.onnx"):
        write(tmp_path / "m" / name)
    record(tmp_path / "m", "model.safetensors", A)
    record(tmp_path / "m", "onnx/model.onnx", B.upper())
    record(tmp_path / "m", "config.json", "d" * 40)
    assert dict(ask(tmp_path, "m").by_path) == {
        "m/model.safetensors": [Expected(A, "the Hub's record of the download")],
        "m/onnx/model.onnx": [Expected(B, "the Hub's record of the download")],
    }


def test_a_record_in_a_folder_above_the_model_counts_the_nearest_first(tmp_path: Path) -> None:
    write(tmp_path / "repo/int8/model.onnx")
    record(tmp_path / "repo", "int8/model.onnx", A)
    record(tmp_path, "repo/int8/model.onnx", B)
    assert [told.sha256 for told in ask(tmp_path, "repo/int8").by_path["repo/int8/model.onnx"]] == [
        A
    ]


@pytest.mark.parametrize(
    "content", ["", "\n", f"{A}\n", f"c\n{A}x\n1\n", "c\n" + "d" * 5000, f"c\n../{A}\n"]
)
def test_a_record_that_is_broken_vouches_for_nothing(tmp_path: Path, content: str) -> None:
    write(tmp_path / "model.safetensors")
    write(tmp_path / ".cache/huggingface/download/model.safetensors.metadata", content)
    assert not ask(tmp_path).by_path


def test_blobs_of_the_hubs_cache_are_named_by_what_they_hold(tmp_path: Path) -> None:
    repository = builders.hub_cache(tmp_path, "org/name")
    found = ask(tmp_path, repository.name).by_path
    weights = {path: told for path, told in found.items() if path.endswith("model.safetensors")}
    assert weights
    for path, told in weights.items():
        assert told == [Expected((tmp_path / path).resolve().name, "its name in the Hub's cache")]
    # Named by git's hash, which is another.
    assert not [path for path in found if path.endswith("config.json")]


def test_blobs_of_ollama_are_named_by_what_they_hold(tmp_path: Path) -> None:
    builders.ollama_store(tmp_path, "tiny")
    found = ask(tmp_path).by_path
    blobs = [path for path in found if path.startswith("blobs/")]
    assert len(blobs) == len(list((tmp_path / "blobs").iterdir()))
    assert {told.source for path in blobs for told in found[path]} == {"its name in Ollama's store"}


@pytest.mark.parametrize(
    "name",
    ["SHA256SUMS", "sha256sums.txt", "SHA256SUMS.txt", "checksums.sha256", "files.sha256sum"],
)
def test_a_list_beside_the_model_is_read_under_any_of_its_names(tmp_path: Path, name: str) -> None:
    write(tmp_path / "m/unet/model.safetensors")
    write(tmp_path / "m/config.json")
    write(
        tmp_path / "m" / name, f"{A}  unet/model.safetensors\n{B} *./config.json\n{B}  absent.bin\n"
    )
    found = ask(tmp_path, "m")
    assert found.by_path["m/unet/model.safetensors"] == [Expected(A, name)]
    assert found.by_path["m/config.json"] == [Expected(B, name)]
    assert found.problems == []


def test_a_list_named_after_a_file_may_hold_its_digest_alone(tmp_path: Path) -> None:
    write(tmp_path / "model.gguf")
    write(tmp_path / "model.gguf.sha256", A + "\n")
    assert ask(tmp_path).by_path["model.gguf"] == [Expected(A, "model.gguf.sha256")]


def test_every_source_that_speaks_of_a_file_is_heard(tmp_path: Path) -> None:
    write(tmp_path / "model.safetensors")
    record(tmp_path, "model.safetensors", A)
    write(tmp_path / "SHA256SUMS", f"{B}  model.safetensors\n")
    assert [told.sha256 for told in ask(tmp_path).by_path["model.safetensors"]] == [A, B]


def test_a_list_above_the_model_is_not_its_own(tmp_path: Path) -> None:
    write(tmp_path / "m/model.safetensors")
    write(tmp_path / "SHA256SUMS", f"{B}  m/model.safetensors\n")
    assert not ask(tmp_path, "m").by_path


def test_a_list_that_links_out_of_the_root_is_not_followed_and_said(tmp_path: Path) -> None:
    root = tmp_path / "root"
    write(root / "model.safetensors")
    write(tmp_path / "elsewhere", f"{A}  model.safetensors\n")
    (root / "SHA256SUMS").symlink_to(tmp_path / "elsewhere")
    found = ask(root)
    assert not found.by_path
    assert [(problem.code, problem.path) for problem in found.problems] == [
        ("checksum_list_invalid", "SHA256SUMS")
    ]


def test_a_pipe_under_the_name_of_a_list_blocks_nothing(tmp_path: Path) -> None:
    write(tmp_path / "model.safetensors")
    os.mkfifo(tmp_path / "SHA256SUMS")
    found = ask(tmp_path)
    assert "not a regular file" in found.problems[0].message


def test_a_thousand_foreign_lists_cost_the_time_of_a_few(tmp_path: Path) -> None:
    write(tmp_path / "zz.gguf")
    for number in range(60):
        write(tmp_path / f"other-{number}.gguf.sha256", f"{A}  zz.gguf\n")
    write(tmp_path / "zz.gguf.sha256", f"{B}  zz.gguf\n")
    told = ask(tmp_path).by_path["zz.gguf"]
    assert len(told) == 17
    assert B in {each.sha256 for each in told}


REFUSED = [
    (f"{A}  ../outside", "leads out"), (f"{A}  a/../../outside", "leads out"),
    (f"{A}  /etc/passwd", "absolute"), (f"{A} *C:\\models\\x", "absolute"),
    (f"{A}  a\0b", "NUL"), (f"\\{A}  a\\nb", "escaped"), (f"{A[:40]}  sha1.bin", "not a SHA-256"),
    (f"{A}", "not a SHA-256"),
    ("<!doctype html>", "not a SHA-256"), (f"SHA256 (../x) = {A}", "leads out"),
    (f"{A}  good\n{B}  good", "contradicts"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "reason"), REFUSED)
def test_hostile_and_foreign_lines_are_refused_with_their_number_and_the_rest_is_read(
    line: str, reason: str
) -> None:
    told = parse(f"# made by hand\n{B}  fine.bin\n{line}\n".encode(), "SHA256SUMS")
    assert told.sums["fine.bin"] == B
    assert len(told.refused) == 1
    assert reason in told.refused[0]
    assert told.refused[0].startswith("line ")


ACCEPTED = [
    (f"{A}  name", "name"), (f"{A} *name", "name"), (f"{A} name", "name"), (f"{A}\tname", "name"),
    (f"{A.upper()}  name", "name"),
    (f"{A}  with two  spaces", "with two  spaces"), (f"{A}   leading space", " leading space"),
    (f"{A}  *star", "*star"),
    (f"{A}  ünï/ß", "ünï/ß"), (f"{A}  name\r", "name"), (f"SHA256 (a b) = {A}", "a b"),
    (f"SHA256(a)= {A}", "a"), (f"{A}  ./name", "name"),
    (f"\ufeff{A}  name", "name"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "name"), ACCEPTED)
def test_every_notation_of_sha256sum_is_read(line: str, name: str) -> None:
    told = parse(f"{line}\n".encode(), "SHA256SUMS")
    assert (told.sums, told.refused) == ({name: A}, [])


def test_names_that_are_not_utf8_are_those_that_the_registry_keeps() -> None:
    assert parse(A.encode() + b"  bad\xff.bin\n", "SHA256SUMS").sums == {"bad\\xff.bin": A}


def test_lists_are_capped_in_bytes_and_lines() -> None:
    assert parse(b"x" * (MAX_LIST_BYTES + 1), "SHA256SUMS").fault.startswith("it is larger")
    told = parse(b"#\n" * MAX_LINES + f"{A}  late".encode(), "SHA256SUMS")
    assert told.sums == {}
    assert "were not read" in told.fault


def test_many_refused_lines_are_counted() -> None:
    assert parse(b"bad\n" * 10, "SHA256SUMS").fault.endswith("and 7 lines more")


@given(st.binary(max_size=400))
def test_no_bytes_upset_the_parser_and_no_name_leaves_the_folder(raw: bytes) -> None:
    told = parse(raw, "x.sha256")
    assert all(
        ".." not in name.split("/") and not name.startswith("/") and "\0" not in name
        for name in told.sums
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("SHA256SUMS", True),
        ("model.gguf.sha256", True),
        ("sha256.py", False),
        ("sha512sums", False),
    ],
)
def test_lists_are_known_by_their_names(name: str, expected: bool) -> None:
    assert is_list(name) is expected
