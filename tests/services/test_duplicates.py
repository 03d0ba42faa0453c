"""Copies, second formats and leftovers on real files: how sure it is, what comes back, and what the
reviewed script removes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.utils import timezone

from discovery.engine.disk.disk_use import piece
from discovery.models import FileChecksum, RegisteredModel, Root, ScanRun
from discovery.services.cleanup import (
    alternate_formats,
    copies,
    duplicates,
    orphans,
    plan_output,
    removal,
    removal_plan,
)
from discovery.services.cleanup.duplicates import Certainty, Group
from discovery.services.cleanup.removal import Plan, PlanError
from discovery.services.core.shell import comment, quoted
from tests.support import builders
from tests.support.waiting import DEADLINE

Scan = Callable[..., ScanRun]


@pytest.fixture(autouse=True)
def fresh_disks() -> Iterator[None]:
    orphans.forget()
    yield
    orphans.forget()


def model(path: str) -> RegisteredModel:
    return RegisteredModel.objects.get(path=path)


def groups() -> list[Group]:
    return duplicates.groups([fingerprint for fingerprint, _, _ in duplicates.fingerprints()])


def twins(root: Path, first: str = "a/llama", second: str = "b/llama") -> None:
    """Two copies of one model, byte for byte, with real bytes in them."""
    builders.transformers(root / first)
    weights = root / first / "model.safetensors"
    size = weights.stat().st_size
    with weights.open("r+b") as stream:  # no holes
        stream.seek(0)
        head = stream.read(8 + int.from_bytes(stream.read(8), "little"))
        stream.seek(0)
        stream.write(head + b"\x3c" * (size - len(head)))
    (root / second).parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(root / first, root / second)


def plan_of(*paths: str) -> Plan:
    return removal_plan.plan("copies", [str(model(path).pk) for path in paths], by="ada")


def run(plan: Plan, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    script = folder / "clean-up.sh"
    script.write_bytes(plan_output.as_script(plan))
    return subprocess.run(
        ["sh", str(script), *arguments],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=DEADLINE,
    )


def tree(root: Path) -> set[str]:
    return {
        os.path.relpath(os.path.join(folder, name), root)
        for folder, folders, files in os.walk(root)
        for name in [*folders, *files]
    }


def names_in(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def vouch(record: RegisteredModel, sha256: str) -> None:
    for path, size in record.files:
        status = os.stat(os.path.join(record.root.path, path))
        below = path.removeprefix(f"{record.path}/")
        FileChecksum.objects.create(
            model=record,
            path=below,
            size=size,
            mtime_ns=status.st_mtime_ns,
            sha256=sha256,
            blake3="",
            checked_at=timezone.now(),
        )


def test_models_alike_by_size_and_first_bytes_are_told_as_no_more_than_that(
    models_root: Path, scan: Scan
) -> None:
    twins(models_root)
    builders.transformers(models_root / "other", hidden=96)
    scan(models_root)
    (group,) = groups()
    assert group.certainty is Certainty.ALIKE
    assert [copy.record.path for copy in group.copies] == ["a/llama", "b/llama"]
    assert group.freed == group.copies[1].freed > 0


def test_checksums_say_that_they_are_the_same_or_that_they_differ(
    models_root: Path, scan: Scan
) -> None:
    twins(models_root)
    scan(models_root)
    vouch(model("a/llama"), "a" * 64)
    assert groups()[0].certainty is Certainty.ALIKE
    vouch(model("b/llama"), "a" * 64)
    assert groups()[0].certainty is Certainty.CHECKSUM
    FileChecksum.objects.filter(model=model("b/llama")).update(sha256="b" * 64)
    assert groups() == []


def test_a_checksum_of_a_file_that_changed_since_says_nothing(
    models_root: Path, scan: Scan
) -> None:
    twins(models_root)
    scan(models_root)
    for path in ("a/llama", "b/llama"):
        vouch(model(path), "a" * 64)
    os.utime(models_root / "b/llama/model.safetensors", (1, 1))
    assert groups()[0].certainty is Certainty.ALIKE


def test_hard_links_are_one_content_and_give_nothing_back(models_root: Path, scan: Scan) -> None:
    twins(models_root)
    for name in names_in(models_root / "a/llama"):
        (models_root / "b/llama" / name).unlink()
        os.link(models_root / "a/llama" / name, models_root / "b/llama" / name)
    scan(models_root)
    (group,) = groups()
    assert (group.certainty, group.freed) == (Certainty.LINKED, 0)


def test_a_copy_made_of_links_comes_last_and_what_it_links_to_cannot_go(
    models_root: Path, scan: Scan
) -> None:
    twins(models_root, "z/llama", "a/view")
    for name in names_in(models_root / "z/llama"):
        (models_root / "a/view" / name).unlink()
        (models_root / "a/view" / name).symlink_to(models_root / "z/llama" / name)
    scan(models_root)
    (group,) = groups()
    assert [copy.record.path for copy in group.copies] == ["z/llama", "a/view"]
    assert (group.certainty, group.freed) == (Certainty.LINKED, 0)
    with pytest.raises(PlanError, match="made of links to files of llama"):
        plan_of("z/llama")
    assert {each.piece.kind for each in plan_of("a/view").steps[0].removals} == {"link", "folder"}


def test_the_script_removes_what_was_reviewed_and_nothing_else(
    models_root: Path, scan: Scan, tmp_path: Path
) -> None:
    twins(models_root)
    (models_root / "b/notes.txt").write_text("mine")
    scan(models_root)
    made = plan_of("b/llama")
    before = tree(models_root)
    looked = run(made, tmp_path)
    assert (looked.returncode, tree(models_root)) == (0, before)
    assert "1 of 1 steps can be done" in looked.stdout
    done = run(made, tmp_path, "--remove")
    assert done.returncode == 0, done.stdout + done.stderr
    assert before - tree(models_root) == {
        os.path.relpath(each.absolute, models_root) for each in made.steps[0].removals
    }
    assert "b/llama" not in tree(models_root)
    assert (models_root / "b/notes.txt").read_text() == "mine"
    assert (models_root / "a/llama/model.safetensors").exists()


def test_the_last_copy_cannot_be_planned_away(models_root: Path, scan: Scan) -> None:
    twins(models_root)
    scan(models_root)
    with pytest.raises(PlanError, match="Every copy of llama is selected"):
        plan_of("a/llama", "b/llama")


@pytest.mark.parametrize("chosen", [["x"], ["99999"], ["9" * 40], ["-1"]])
def test_what_is_no_copy_cannot_be_planned(chosen: list[str], db: None) -> None:
    with pytest.raises(PlanError, match="no longer a copy of another"):
        removal_plan.plan("copies", chosen, by="ada")


def test_nothing_and_too_much_cannot_be_planned(db: None) -> None:
    with pytest.raises(PlanError, match="Nothing is ticked"):
        removal_plan.plan("copies", [], by="ada")
    with pytest.raises(PlanError, match="at most 500"):
        removal_plan.plan("copies", [str(number) for number in range(501)], by="ada")


def test_bytes_that_differ_are_found_by_the_script_although_sizes_agree(
    models_root: Path, scan: Scan, tmp_path: Path
) -> None:
    twins(models_root)
    weights = models_root / "b/llama/model.safetensors"
    with weights.open("r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        stream.write(b"!")
    scan(models_root)
    made, before = plan_of("b/llama"), tree(models_root)
    done = run(made, tmp_path, "--remove")
    assert done.returncode == 1
    assert "its bytes are not those of the copy that stays" in done.stdout
    assert tree(models_root) == before


@pytest.mark.parametrize("change", ["longer", "link", "gone", "kept gone", "folder swapped"])
def test_a_step_is_left_alone_whole_when_something_changed_since(
    change: str, models_root: Path, scan: Scan, tmp_path: Path
) -> None:
    twins(models_root)
    scan(models_root)
    made = plan_of("b/llama")
    config = models_root / "b/llama/config.json"
    if change == "longer":
        config.write_text(config.read_text() + " ")
    elif change == "link":
        config.unlink()
        config.symlink_to(models_root / "a/llama/config.json")
    elif change == "gone":
        config.unlink()
    elif change == "kept gone":
        (models_root / "a/llama/model.safetensors").unlink()
    else:
        (models_root / "b/llama").rename(tmp_path / "elsewhere")
        (models_root / "b/llama").symlink_to(tmp_path / "elsewhere")
    before, outside = tree(models_root), tree(tmp_path / "elsewhere")
    done = run(made, tmp_path, "--remove")
    assert done.returncode == 1
    assert "left alone" in done.stdout
    assert (tree(models_root), tree(tmp_path / "elsewhere")) == (before, outside)


HOSTILE = [
    "-rf",
    "a'b",
    "$(touch x)",
    "new\nline",
    "`id`",
    "sp ace",
    'q"q',
    "back\\slash",
    "*",
    "模型",
    "end\n",
    "\x1b[31m",
    "#x",
    "é\u202e",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_names_whatever_stands_in_them(
    name: str, models_root: Path, scan: Scan, tmp_path: Path
) -> None:
    twins(models_root, "a/m", f"b/{name}")
    for path in (models_root / "b/x", models_root / "b/id", models_root / "b/keep"):
        path.write_text("mine")
    scan(models_root)
    made = plan_of(f"b/{name}")
    done = run(made, tmp_path, "--remove")
    assert done.returncode == 0, done.stdout + done.stderr
    assert names_in(models_root / "b") == ["id", "keep", "x"]
    assert names_in(tmp_path) == ["clean-up.sh", "models"]


def test_what_the_script_says_holds_nothing_that_a_terminal_obeys(
    models_root: Path, scan: Scan, tmp_path: Path
) -> None:
    twins(models_root, "a/m", "b/\x1b[31mred\x07")
    scan(models_root)
    made = plan_of("b/\x1b[31mred\x07")
    (models_root / "b/\x1b[31mred\x07/config.json").unlink()
    done = run(made, tmp_path)
    assert done.returncode == 1
    assert "?[31mred?/config.json" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr


def test_a_name_that_is_not_utf_8_is_removed_by_its_bytes(
    models_root: Path, scan: Scan, tmp_path: Path
) -> None:
    twins(models_root, "a/m", "b/m")
    os.rename(models_root / "b/m", os.fsencode(models_root) + b"/b/\xff\xfe")
    scan(models_root)
    made = plan_of("b/\\xff\\xfe")
    json.dumps(plan_output.as_json(made)).encode()
    assert run(made, tmp_path, "--remove").returncode == 0
    assert names_in(models_root / "b") == []


def test_a_comment_never_ends_before_its_line() -> None:
    assert comment("a\nrm -rf /\r\x0b\x85\u2028b") == "a?rm -rf /????b"
    assert quoted("it's\n-x") == "'it'\\''s\n-x'"


def test_the_plan_as_json_names_every_entry_and_what_stays(models_root: Path, scan: Scan) -> None:
    twins(models_root)
    scan(models_root)
    told = plan_output.as_json(plan_of("b/llama"))
    (step,) = told["steps"]
    assert told["frees_bytes"] == step["frees_bytes"] > 0
    assert step["keeps"] == str(models_root / "a/llama")
    weights = next(each for each in step["remove"] if each["path"].endswith("model.safetensors"))
    assert weights == {
        "path": str(models_root / "b/llama/model.safetensors"),
        "type": "file",
        "size": (models_root / "b/llama/model.safetensors").stat().st_size,
        "same_as": str(models_root / "a/llama/model.safetensors"),
    }
    assert step["remove"][-1] == {
        "path": str(models_root / "b/llama"),
        "type": "folder",
        "size": 0,
        "same_as": None,
    }


def test_copies_in_nested_roots_are_each_planned_in_their_own(
    models_root: Path, scan: Scan, tmp_path: Path
) -> None:
    twins(models_root, "a/llama", "inner/b/llama")
    Root.objects.create(path=str(models_root / "inner"))
    scan(models_root)
    scan(models_root / "inner")
    made = plan_of("b/llama")
    assert made.roots == (str(models_root / "inner"),)
    assert run(made, tmp_path, "--remove").returncode == 0
    assert (models_root / "a/llama/model.safetensors").exists()


def test_an_ollama_copy_goes_without_the_blobs_that_other_names_share(
    models_root: Path, scan: Scan, tmp_path: Path
) -> None:
    store = models_root / "ollama"
    builders.ollama_store(store, "llama3")
    library = store / "manifests/registry.ollama.ai/library"
    shutil.copytree(library / "llama3", library / "mine")
    scan(models_root)
    (group,) = groups()
    assert group.certainty is Certainty.LINKED
    assert group.freed < 2_000
    made = plan_of("ollama/manifests/registry.ollama.ai/library/mine")
    before = tree(models_root)
    assert run(made, tmp_path, "--remove").returncode == 0
    gone = before - tree(models_root)
    assert all("manifests" in path for path in gone)
    assert (library / "llama3/latest").exists()


def test_a_repository_of_the_hub_cache_goes_with_links_blobs_and_folders(
    models_root: Path, scan: Scan, tmp_path: Path
) -> None:
    repository = builders.hub_cache(models_root / "hub", "org/name", revisions=1)
    snapshot = next((repository / "snapshots").iterdir())
    shutil.copytree(snapshot, models_root / "plain")
    scan(models_root)
    (group,) = groups()
    assert {copy.record.path for copy in group.copies} == {"hub/models--org--name", "plain"}
    done = run(plan_of("hub/models--org--name"), tmp_path, "--remove")
    assert done.returncode == 0, done.stdout
    assert names_in(models_root / "hub") == []
    assert (models_root / "plain").is_dir()


def test_a_second_format_can_go_with_its_data_and_the_first_stays(
    models_root: Path, scan: Scan, tmp_path: Path
) -> None:
    folder = models_root / "bert"
    builders.transformers(folder)
    builders.torch_zip(folder / "pytorch_model.bin", builders.tensors())
    scan(models_root)
    (second,) = alternate_formats.found()
    assert (second.format, second.kept) == ("pytorch", "safetensors")
    made = removal_plan.plan("formats", [second.key], by="ada")
    assert run(made, tmp_path, "--remove").returncode == 0
    assert not (folder / "pytorch_model.bin").exists()
    assert (folder / "model.safetensors").exists()
    with pytest.raises(PlanError, match="not there any more"):
        removal_plan.plan("formats", [second.key], by="ada")


def test_one_model_in_two_places_and_formats_can_go_in_either_and_not_in_both(
    models_root: Path, scan: Scan, tmp_path: Path
) -> None:
    builders.transformers(models_root / "llama-3.1-8b")
    (models_root / "gguf/llama-3.1-8b-GGUF").mkdir(parents=True)
    builders.gguf_model(
        models_root / "gguf/llama-3.1-8b-GGUF/llama-3.1-8b.BF16.gguf",
        "llama-3.1-8b",
        builders.Sizes(hidden=64),
        "BF16",
    )
    builders.transformers(models_root / "llama-3.1-70b")
    scan(models_root)
    whole = {each.format: each for each in alternate_formats.found()}
    assert set(whole) == {"gguf", "safetensors"}
    assert whole["safetensors"].kept.startswith("gguf in ")
    assert alternate_formats.spare(alternate_formats.found()) == min(
        each.freed for each in whole.values()
    )
    with pytest.raises(PlanError, match="Every format of"):
        removal_plan.plan("formats", [each.key for each in whole.values()], by="ada")
    made = removal_plan.plan("formats", [whole["gguf"].key], by="ada")
    done = run(made, tmp_path, "--remove")
    assert done.returncode == 0, done.stdout
    assert names_in(models_root) in (
        ["gguf", "llama-3.1-70b", "llama-3.1-8b"],
        ["llama-3.1-70b", "llama-3.1-8b"],
    )
    assert not list(models_root.rglob("*.gguf"))
    assert (models_root / "llama-3.1-8b/model.safetensors").exists()


def age(root: Path) -> None:
    old = time.time() - 86_400
    for folder, folders, files in os.walk(root, topdown=False):
        for name in [*files, *folders]:
            os.utime(os.path.join(folder, name), (old, old), follow_symlinks=False)


def test_leftovers_are_planned_one_by_one_and_removed(
    models_root: Path, db: None, tmp_path: Path
) -> None:
    Root.objects.create(path=str(models_root))
    builders.hub_cache(models_root / "hub", "org/name", revisions=2)
    (models_root / "x y.part").write_bytes(b"1" * 9_000)
    (models_root / "stay.part").write_bytes(b"2")
    (models_root / "empty/deep").mkdir(parents=True)
    age(models_root)
    items = {item.leftover.path: item for item in orphans.look().items}
    before = tree(models_root)
    for kind, path in (
        ("partial", "x y.part"),
        ("empty", "empty"),
        ("revisions", next(path for path in items if "snapshots" in path)),
    ):
        made = removal_plan.plan(kind, [items[path].key], by="ada")
        assert run(made, tmp_path, "--remove").returncode == 0
    gone = before - tree(models_root)
    assert {"x y.part", "empty", "empty/deep"} <= gone
    assert "stay.part" not in gone
    hub = models_root / "hub/models--org--name"
    (snapshot,) = (hub / "snapshots").iterdir()
    assert all(link.exists() for link in snapshot.rglob("*"))


def test_a_leftover_that_changed_since_cannot_be_planned(models_root: Path, db: None) -> None:
    Root.objects.create(path=str(models_root))
    (models_root / "a.part").write_bytes(b"1")
    age(models_root)
    (item,) = orphans.look().items
    (models_root / "a.part").write_bytes(b"12")
    with pytest.raises(PlanError, match="has changed"):
        removal_plan.plan("partial", [item.key], by="ada")
    assert len(orphans.look().items) == 1
    assert orphans.look(fresh=True).items == ()


def test_a_disk_that_does_not_answer_holds_nobody_up(
    models_root: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch, silence: threading.Event
) -> None:
    twins(models_root)
    scan(models_root)
    for module, limit, question in (
        (copies, "TIMEOUT", "_weigh"),
        (orphans, "PATIENCE", "_walk"),
    ):
        monkeypatch.setattr(module, limit, 0.05)
        monkeypatch.setattr(module, question, lambda *_: silence.wait())
    with pytest.raises(PlanError, match="did not answer"):
        plan_of("b/llama")
    assert orphans.look().waiting == (str(models_root),)


def test_a_script_of_twenty_thousand_entries_can_be_read_and_run(tmp_path: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "a").write_bytes(b"")
    entry = piece(str(folder), "a")
    assert entry
    removals = (removal.Removal(str(folder / "a"), entry),)

    def planned(count: int) -> Plan:
        return Plan(
            "partial",
            "ada",
            timezone.now(),
            (str(folder),),
            (removal.Step("all", "because", removals * count),),
        )

    assert run(planned(500), tmp_path).returncode == 0
    (tmp_path / "long.sh").write_bytes(plan_output.as_script(planned(20_000)))
    assert subprocess.run(["sh", "-n", str(tmp_path / "long.sh")], check=False).returncode == 0


def test_two_empty_downloads_are_no_copies_of_each_other(models_root: Path, scan: Scan) -> None:
    for name in ("first", "second"):
        builders.transformers(models_root / name)
        (models_root / name / "model.safetensors").write_bytes(b"")
    scan(models_root)
    assert model("first").fingerprint == model("second").fingerprint
    assert groups() == []
