"""What serves no model any more, on real files: links, stores, shards, hostile names; and what must
never be taken for a leftover.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from discovery.engine.disk import leftovers
from discovery.engine.disk.disk_use import freed, piece
from discovery.engine.disk.leftovers import Leftover, look
from tests.support import builders

OLD = time.time() - 86_400


def age(root: Path) -> None:
    """Everything was written yesterday."""
    for folder, folders, files in os.walk(root, topdown=False):
        for name in [*files, *folders]:
            os.utime(os.path.join(folder, name), (OLD, OLD), follow_symlinks=False)


def found(root: Path, kind: str = "", **options: object) -> list[Leftover]:
    age(root)
    every = look(str(root), **options).found  # type: ignore[arg-type]
    return [each for each in every if not kind or each.kind == kind]


def paths(leftover: Leftover) -> list[str]:
    return [each.path for each in leftover.pieces]


def test_a_tidy_tree_has_no_leftovers(tmp_path: Path) -> None:
    builders.transformers(tmp_path / "llama", shards=2)
    builders.hub_cache(tmp_path / "hub", "org/name", revisions=1)
    builders.ollama_store(tmp_path / "ollama", "llama3", ("latest", "8b-q4_0"))
    assert found(tmp_path) == []


@pytest.mark.parametrize(
    "name",
    [
        "a.gguf.part",
        "b.incomplete",
        "c.CRDOWNLOAD",
        "d.safetensors.partial",
        "-rf *.part",
        "new\nline.part",
    ],
)
def test_downloads_that_broke_off_are_found_by_their_endings(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"x" * 5_000)
    (only,) = found(tmp_path)
    assert (only.kind, only.freed) == ("partial", 5_000)
    assert paths(only) == [name]


def test_what_is_being_written_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.part").write_bytes(b"x")
    (tmp_path / "b").mkdir()
    assert look(str(tmp_path)).found == []
    age(tmp_path)
    assert len(look(str(tmp_path)).found) == 2


def test_the_control_file_of_aria2_goes_with_the_file_it_controls(tmp_path: Path) -> None:
    (tmp_path / "m.gguf").write_bytes(b"x" * 10)
    (tmp_path / "m.gguf.aria2").write_bytes(b"y")
    assert paths(found(tmp_path)[0]) == ["m.gguf.aria2", "m.gguf"]


def test_empty_folders_are_told_from_the_top_with_all_below(tmp_path: Path) -> None:
    (tmp_path / "gone/a/b").mkdir(parents=True)
    (tmp_path / "kept/c").mkdir(parents=True)
    (tmp_path / "kept/file").write_text("")
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked/away").symlink_to("/nowhere")
    made = {each.path: paths(each) for each in found(tmp_path, leftovers.EMPTY)}
    assert made == {"gone": ["gone/a/b", "gone/a", "gone"], "kept/c": ["kept/c"]}


def test_folders_that_are_never_walked_are_not_empty(tmp_path: Path) -> None:
    (tmp_path / "repo/.git").mkdir(parents=True)
    (tmp_path / "other-root/x").mkdir(parents=True)
    assert found(tmp_path, skip=[str(tmp_path / "other-root")]) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read_is_told_and_is_not_empty(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir()
    (tmp_path / "closed").chmod(0)
    try:
        told = look(str(tmp_path), now=time.time() + 9_999)
    finally:
        (tmp_path / "closed").chmod(0o700)
    assert told.found == []
    assert told.unread == [("closed", "Permission denied")]


def test_when_time_runs_out_nothing_unseen_is_called_empty(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    age(tmp_path)
    told = look(str(tmp_path), seconds=-1)
    assert (told.whole, told.found) == (False, [])


def test_blobs_that_no_revision_links_to_and_old_revisions_of_the_hub_cache(tmp_path: Path) -> None:
    repository = builders.hub_cache(tmp_path, "org/name", revisions=3)
    blobs = repository / "blobs"
    (blobs / ("f" * 64)).write_bytes(b"z" * 3_000)
    (blobs / ("e" * 64 + ".incomplete")).write_bytes(b"z" * 100)
    main = (repository / "refs/main").read_text()
    told = found(tmp_path)
    by_kind = {
        kind: [each for each in told if each.kind == kind]
        for kind in ("blobs", "revisions", "partial")
    }
    assert [paths(each) for each in by_kind["blobs"]] == [[f"models--org--name/blobs/{'f' * 64}"]]
    assert by_kind["blobs"][0].freed == 3_000
    assert by_kind["partial"][0].freed == 100
    (old,) = by_kind["revisions"]
    assert "these 2 revisions" in old.note
    kept = {
        os.path.realpath(link)
        for link in (repository / "snapshots" / main).rglob("*")
        if link.is_symlink()
    }
    assert not {str(tmp_path / path) for path in paths(old)} & kept
    assert not any(main in path for path in paths(old))
    cards = [each for each in old.pieces if "/blobs/" in each.path]
    assert len(cards) == 2
    assert old.freed == sum(each.held for each in cards)


def test_a_blob_that_only_old_revisions_share_goes_with_all_of_them(tmp_path: Path) -> None:
    repository = builders.hub_cache(tmp_path, "org/name", revisions=3)
    main = (repository / "refs/main").read_text()
    shared = repository / "blobs" / ("a" * 64)
    shared.write_bytes(b"w" * 50_000)
    for snapshot in (repository / "snapshots").iterdir():
        if snapshot.name != main:
            (snapshot / "old.bin").symlink_to(f"../../blobs/{shared.name}")
    (old,) = found(tmp_path)
    assert old.freed > 50_000


def test_without_any_named_revision_none_is_old(tmp_path: Path) -> None:
    repository = builders.hub_cache(tmp_path, "org/name", revisions=2)
    (repository / "refs/main").write_text("0" * 40)
    assert found(tmp_path) == []


def test_blobs_that_no_manifest_of_ollama_names(tmp_path: Path) -> None:
    builders.ollama_store(tmp_path / "o", "llama3", ("latest", "8b-q4_0"))
    (tmp_path / "o/blobs" / f"sha256-{'0' * 64}").write_bytes(b"q" * 700)
    (tmp_path / "o/blobs" / f"sha256-{'1' * 64}-partial-0").write_bytes(b"q" * 70)
    assert {(each.kind, each.freed) for each in found(tmp_path)} == {
        ("blobs", 700),
        ("partial", 70),
    }


@pytest.mark.parametrize(
    "content", [b"", b'{"layers": [{"dig', b"[]", b'{"layers": 3}', b"\xff\xfe"]
)
def test_one_manifest_that_cannot_be_read_makes_every_blob_safe(
    content: bytes, tmp_path: Path
) -> None:
    builders.ollama_store(tmp_path, "llama3")
    (tmp_path / "blobs" / f"sha256-{'0' * 64}").write_bytes(b"q" * 700)
    (tmp_path / "manifests/registry.ollama.ai/library/llama3/broken").write_bytes(content)
    age(tmp_path)
    told = look(str(tmp_path))
    assert told.found == []
    assert "not a readable manifest" in told.unread[0][1]


def shards(folder: Path, numbers: tuple[int, ...], total: int, stem: str = "model") -> list[str]:
    folder.mkdir(exist_ok=True)
    made = [f"{stem}-{number:05}-of-{total:05}.safetensors" for number in numbers]
    for name in made:
        (folder / name).write_bytes(b"w" * 1_000)
    return made


def index(folder: Path, names: list[str]) -> None:
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {f"t{n}": name for n, name in enumerate(names)}})
    )


def test_shards_that_the_index_does_not_name_are_alone(tmp_path: Path) -> None:
    old = shards(tmp_path / "m", (1, 2, 3), 3)
    index(tmp_path / "m", shards(tmp_path / "m", (1, 2), 2))
    (only,) = found(tmp_path)
    assert paths(only) == [f"m/{name}" for name in old]
    assert "names other files" in only.note
    assert only.freed == 3_000


def test_a_set_that_lacks_parts_says_how_many(tmp_path: Path) -> None:
    shards(tmp_path / "m", (2,), 3)
    (only,) = found(tmp_path)
    assert only.note.startswith("2 parts of 3 are missing")


def test_a_shard_beside_the_whole_model_is_alone(tmp_path: Path) -> None:
    shards(tmp_path / "m", (2,), 3)
    (tmp_path / "m/model.safetensors").write_bytes(b"w")
    assert "holds the whole model" in found(tmp_path)[0].note


def test_whole_sets_are_no_leftovers_with_or_without_an_index(tmp_path: Path) -> None:
    index(tmp_path / "m", shards(tmp_path / "m", (1, 2), 2))
    shards(tmp_path / "n", (1, 2), 2)
    (tmp_path / "broken").mkdir()
    shards(tmp_path / "broken", (1, 2), 2)
    (tmp_path / "broken/model.safetensors.index.json").write_text("{")
    assert found(tmp_path) == []


def test_bytes_come_back_with_the_last_name_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 8_000)
    os.link(tmp_path / "a", tmp_path / "b")
    (tmp_path / "c").symlink_to("a")
    a, b, c = (piece(str(tmp_path), name) for name in "abc")
    assert a
    assert b
    assert c
    assert freed([a]) == freed([b, c]) == freed([a, a]) == 0
    assert freed([a, b]) == 8_000
    assert piece(str(tmp_path), "nothing") is None


def test_holes_are_no_bytes_to_have_back(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as stream:
        stream.truncate(10_000_000)
    made = piece(str(tmp_path), "sparse")
    assert made
    assert made.size == 10_000_000
    assert freed([made]) < 100_000


def test_pipes_are_no_leftovers(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.part")
    assert found(tmp_path) == []
