"""Why a model does not appear: the walk's own decisions, told for one path; no path is too odd, no
disk too slow.
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import AnonymousUser, User

from discovery.models import RegisteredModel, Root, ScanRun, SkippedPath
from discovery.services.machine import root_probes
from discovery.services.scans import explain_missing, explain_verdicts, registration
from discovery.services.scans.explain_missing import Explanation, NotAPath
from tests.support import builders

Scan = Callable[..., ScanRun]
Ask = Callable[..., Explanation]


@pytest.fixture
def shelf(db: None, models_root: Path, config_dir: Path) -> Path:
    """Every way in which a path can miss the registry, and some in which it does not."""
    builders.transformers(models_root / "chat/llama", hidden=64)
    (models_root / "chat/llama/notes.txt").write_text("x")
    (models_root / "chat/llama/old.tmp").write_text("x")
    builders.transformers(models_root / ".git/hidden", hidden=64)
    builders.transformers(models_root / "chat/checkpoint-500", hidden=64)
    builders.transformers(models_root / "trash-bin/gone", hidden=72)
    builders.transformers(models_root / "a/b/c/d/e/f", hidden=80)
    (models_root / "empty/inner").mkdir(parents=True)
    (models_root / "empty/notes.txt").write_text("x")
    (models_root / "half").mkdir()
    (models_root / "half/config.json").write_text("{}")
    (models_root / "alone").mkdir()
    (models_root / "alone/tokenizer.json").write_text("{}")
    (models_root / "datasets--org--name/snapshots").mkdir(parents=True)
    outside = models_root.parent / "outside"
    builders.transformers(outside / "bert", hidden=88)
    (models_root / "leaves").symlink_to(outside)
    (models_root / "again").symlink_to(models_root / "chat")
    os.mkfifo(models_root / "pipe.gguf")
    (config_dir / "model_discovery.json").write_text(
        json.dumps({"discovery": {"exclude_patterns": ["*.tmp", "trash-*", "chat/secret"]}})
    )
    Root.objects.create(path=str(models_root))
    return models_root


@pytest.fixture
def ask(shelf: Path, admin_user: User) -> Ask:
    def asking(path: str | Path) -> Explanation:
        return explain_missing.explain(str(shelf / path), admin_user)

    return asking


def told(answer: Explanation) -> str:
    return " ".join([answer.title, answer.detail, answer.advice, *answer.problems])


def test_a_registered_model_is_named(ask: Ask, scan: Scan) -> None:
    scan()
    answer = ask("chat/llama")
    assert answer.title == "It is registered as llama."
    assert [model.path for model in answer.models] == ["chat/llama"]
    assert (answer.tone, answer.scan) == ("ok", False)


@pytest.mark.parametrize("path", ["chat/llama/model.safetensors", "chat/llama/notes.txt"])
def test_a_file_of_a_model_is_part_of_it(path: str, ask: Ask, scan: Scan) -> None:
    scan()
    assert ask(path).title == "It is part of the model llama."


@pytest.mark.parametrize(
    ("path", "title", "detail"),
    [
        (
            "chat/llama/old.tmp",
            "It is excluded by a pattern.",
            "chat/llama/old.tmp matches “*.tmp”",
        ),
        ("trash-bin/gone", "It is excluded by a pattern.", "trash-bin matches “trash-*”"),
        (".git/hidden/config.json", "Folders of this name are never models.", ".git is a folder"),
        ("chat/checkpoint-500", "Folders of this name are never models.", "chat/checkpoint-500"),
        ("a/b/c/d/e/f", "It lies too deep.", "Folders below a/b/c/d/e are more than 5 deep"),
        ("empty", "Nothing in it looks like a model.", "No file in it promises weights"),
        ("empty/notes.txt", "Its name does not promise weights.", ".safetensors"),
        (
            "alone/tokenizer.json",
            "It describes a model, and there are no weights beside it.",
            "tokenizer.json alone",
        ),
        ("leaves/bert", "It cannot be looked into.", "links to a place outside the root"),
        ("pipe.gguf", "It cannot be looked into.", "pipe, socket or device"),
        (
            "datasets--org--name/snapshots",
            "It belongs to a data set, a space or a store, and to no model.",
            "datasets--org--name/snapshots",
        ),
        ("chat/LLAMA", "There is nothing at this path.", "Did you mean “llama”?"),
        ("chat/lama", "There is nothing at this path.", "Did you mean “llama”?"),
        ("chat/zzz", "There is nothing at this path.", "Capitals count."),
        ("empty/notes.txt/deeper", "There is nothing at this path.", "a file, not a folder"),
    ],
)
def test_the_reason_is_the_one_a_scan_would_have(
    path: str, title: str, detail: str, ask: Ask, scan: Scan
) -> None:
    scan()
    answer = ask(path)
    assert answer.title == title
    assert detail in told(answer)
    assert not RegisteredModel.objects.filter(path=path).exists()


def test_what_was_skipped_says_why(ask: Ask, scan: Scan) -> None:
    scan()
    answer = ask("half")
    assert answer.title == "It looks like a model and is none."
    assert SkippedPath.objects.get(place="half").reason in answer.detail


def test_what_no_scan_has_seen_is_read_now(ask: Ask, scan: Scan) -> None:
    answer = ask("chat/llama")
    assert answer.title == "It is a model that no scan has seen yet: llama."
    assert answer.scan
    assert "never scanned to its end" in told(answer)
    scan()
    root = ask("").root
    assert root
    builders.transformers(Path(root.path) / "late", hidden=96)
    assert ask("late").title == "It is a model that no scan has seen yet: late."


def test_a_format_that_is_left_out_is_named(ask: Ask, config_dir: Path) -> None:
    (config_dir / "model_discovery.json").write_text(
        '{"discovery": {"supported_formats": ["gguf"]}}'
    )
    assert "formats that supported_formats leaves out: safetensors" in ask("chat/llama").detail


def test_a_model_that_changed_since_is_read_again_by_the_next_scan(
    ask: Ask, shelf: Path, scan: Scan
) -> None:
    scan()
    (shelf / "chat/llama/notes.txt").write_text("longer than before")
    answer = ask("chat/llama")
    assert answer.scan
    assert "have changed since the last scan" in answer.detail


def test_a_missing_model_that_is_back_wants_a_scan(ask: Ask, shelf: Path, scan: Scan) -> None:
    scan()
    RegisteredModel.objects.filter(path="chat/llama").update(status="MISSING")
    assert "marked missing" in ask("chat/llama").title
    shutil.rmtree(shelf / "chat/llama")
    assert ask("chat/llama").title == "It is registered as llama, and its files are gone."


def test_a_shelf_tells_how_many_models_are_below_it(ask: Ask, scan: Scan) -> None:
    assert "1 place in it look" in ask("chat").title
    scan()
    answer = ask("chat")
    assert answer.title == "It is a folder with 1 registered model below it."
    assert [model.path for model in answer.models] == ["chat/llama"]


def test_a_link_inside_the_root_leads_to_where_the_model_is_registered(
    ask: Ask, scan: Scan
) -> None:
    scan()
    answer = ask("again/llama")
    assert [model.path for model in answer.models] == ["chat/llama"]
    assert "again is a link" in answer.detail


def test_links_that_go_round_in_circles_come_to_an_end(ask: Ask, shelf: Path) -> None:
    (shelf / "round").symlink_to(shelf)
    (shelf / "one").mkdir()
    (shelf / "one/two").symlink_to(shelf / "one")
    assert ask("round/" * 40 + "chat/llama").title
    assert ask("one/" + "two/" * 30 + "x").title in (
        "There is nothing at this path.",
        "It cannot be looked into.",
    )


def test_a_path_is_also_understood_below_the_root_and_in_quotes(
    ask: Ask, shelf: Path, admin_user: User, scan: Scan
) -> None:
    scan()
    for text in (
        "chat/llama",
        f'"{shelf}/chat/llama/"',
        f" file://{shelf}/chat/../chat/llama ",
        "./chat/llama",
    ):
        assert explain_missing.explain(text, admin_user).title == "It is registered as llama."


def test_a_root_that_is_a_link_is_seen_through(
    shelf: Path, tmp_path: Path, admin_user: User
) -> None:
    (tmp_path / "link").symlink_to(shelf)
    assert explain_missing.explain(str(tmp_path / "link/chat/llama"), admin_user).root is not None
    Root.objects.update(path=str(tmp_path / "link"))
    assert (
        "no scan has seen yet"
        in explain_missing.explain(str(shelf / "chat/llama"), admin_user).title
    )


@pytest.mark.parametrize("path", ["/etc/passwd", "../outside/bert", "/", "/proc/self/environ"])
def test_outside_the_roots_nothing_is_looked_at(path: str, ask: Ask, shelf: Path) -> None:
    answer = ask(path)
    assert answer.title == "It lies under no root."
    assert str(shelf) in answer.detail
    assert "scan_models" in answer.advice


def test_nothing_typed_is_too_odd(ask: Ask, admin_user: User) -> None:
    for text, reason in (
        ("", "Type or paste"),
        ("  '' ", "Type or paste"),
        ("/a\0b", "NUL"),
        ("x" * 100_000, "100,000 characters"),
        ("\ud800", "such char"),
    ):
        with pytest.raises(NotAPath, match=reason):
            explain_missing.explain(text, admin_user)
    for name in ("n" * 3_000, "‮<b>‮", "ж" * 255, "\udcff", "..." * 50, "chat/" * 700):
        assert ask(name).title == "There is nothing at this path."


def test_names_that_are_no_text_are_found_as_they_are_shown(ask: Ask, shelf: Path) -> None:
    builders.transformers(shelf / "cafe", hidden=64)
    (shelf / "cafe").rename(os.fsdecode(os.fsencode(shelf) + b"/caf\xe9"))
    assert "no scan has seen yet" in ask("caf\\xe9").title


def test_a_root_out_of_reach_is_said_before_anything_is_looked_at(ask: Ask, shelf: Path) -> None:
    shutil.move(shelf, f"{shelf}-away")
    answer = ask("chat/llama")
    assert answer.title == "Its root is out of reach."
    assert "the folder is not there" in answer.detail


def test_a_disk_that_hangs_holds_nobody_up(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, silence: threading.Event
) -> None:
    monkeypatch.setattr(explain_missing, "trace", lambda *_: silence.wait())
    assert ask("chat/llama").title == "The disk does not answer."
    monkeypatch.setattr(root_probes, "_probe", lambda *_: silence.wait())
    assert "it does not answer" in ask("chat/other").detail


def test_a_root_that_is_frozen_or_switched_off_is_told(ask: Ask) -> None:
    Root.objects.update(frozen_reason="It is empty.", enabled=False)
    answer = ask("chat/llama")
    assert "The root is frozen: It is empty." in told(answer)
    assert "The root is switched off" in told(answer)


def test_a_failure_of_ours_while_reading_is_told_not_shown(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explain_verdicts, "identify", lambda *_: 1 / 0)
    assert "reading it failed unexpectedly (ZeroDivisionError" in ask("chat/llama").detail


def test_models_that_a_person_may_not_see_are_not_named(ask: Ask, shelf: Path, scan: Scan) -> None:
    scan()
    answer = explain_missing.explain(str(shelf / "chat/llama"), AnonymousUser())
    assert answer.models == ()
    assert answer.title == "Nothing that is shared with you lies there."


@pytest.mark.parametrize("path", ["chat/checkpoint-500", "trash-bin/gone", "a/b/c/d/e/f", "alone"])
def test_what_scans_pass_by_may_be_registered_by_hand_and_is_named_from_then_on(
    path: str, ask: Ask, scan: Scan, shelf: Path, admin_user: User
) -> None:
    scan()
    assert ask(path).may_register
    record = registration.register({"path": str(shelf / path)}, by=admin_user, channel="page")
    answer = ask(path)
    assert (answer.tone, answer.models, answer.may_register) == ("ok", (record,), False)
    assert answer.title.endswith("by hand.")
    assert not ask("chat/llama").may_register
    assert not ask("nowhere").may_register
