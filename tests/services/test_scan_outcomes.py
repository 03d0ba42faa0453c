"""What a scan did, model by model, and what lies between two scans."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from discovery.models import LogEntry, Root, ScanRun
from discovery.services import scans
from tests.support import builders

Scan = Callable[..., ScanRun]

#: A fifth model keeps a root from looking half empty.
NAMES = ("one", "two", "three", "four", "five")


@pytest.fixture
def shelf(db: None, models_root: Path) -> Path:
    for number, name in enumerate(NAMES):
        builders.transformers(models_root / name, hidden=64 + 8 * number)
    Root.objects.create(path=str(models_root))
    return models_root


def did(run: ScanRun, event: str) -> list[str]:
    return sorted(entry.model_id or entry.path for entry in scans.events(run, event))


def compared(first: ScanRun, second: ScanRun) -> dict[str, str]:
    return {one.model_id: one.kind for one in scans.compare(first, second).differences}


def test_each_run_keeps_what_it_did_to_which_model(shelf: Path, scan: Scan) -> None:
    first = scan()
    assert did(first, "new") == sorted(NAMES)
    (shelf / "two/README.md").write_text("---\nlicense: mit\n---\n# Two\n")
    shutil.rmtree(shelf / "three")
    (shelf / "four").rename(shelf / "moved")
    (shelf / "broken").mkdir()
    (shelf / "broken/config.json").write_text("{}")
    second = scan()
    assert {event: did(second, event) for event in LogEntry.Event.values} == {
        "new": [], "changed": ["two"], "back": [], "moved": ["four"], "missing": ["three"],
        "skipped": ["broken"],
    }  # fmt: skip
    assert scans.counts(second) == {
        "new": 0,
        "changed": 1,
        "back": 0,
        "moved": 1,
        "missing": 1,
        "skipped": 1,
    }
    assert (second.new, second.changed, second.moved, second.missing) == (0, 1, 1, 1)


def test_a_change_says_what_is_different(shelf: Path, scan: Scan) -> None:
    scan()
    (shelf / "two/README.md").write_text("---\nlicense: mit\n---\n# Two\n")
    [entry] = scans.events(scan(), "changed")
    assert "different now: size, files" in entry.message
    assert "license" in entry.message


def test_what_comes_back_is_told_as_back(shelf: Path, scan: Scan) -> None:
    scan()
    (shelf / "one").rename(shelf.parent / "away")
    assert did(scan(), "missing") == ["one"]
    (shelf.parent / "away").rename(shelf / "one")
    assert did(scan(), "back") == ["one"]


def test_places_that_cannot_be_looked_into_are_skipped_with_the_reason(
    shelf: Path, scan: Scan
) -> None:
    (shelf / "two/out").symlink_to(shelf.parent)
    builders.transformers(shelf / "a/b/c/d/e/f", hidden=64)
    run = scan()
    reasons = {entry.path: entry.message for entry in scans.events(run, "skipped")}
    assert "deeper than max_scan_depth (5)" in reasons["a/b/c/d/e"]


def test_an_unchanged_scan_does_nothing(shelf: Path, scan: Scan) -> None:
    scan()
    assert set(scans.counts(scan()).values()) == {0}


def test_events_are_searched_by_model_path_and_reason(shelf: Path, scan: Scan) -> None:
    run = scan()
    assert [entry.model_id for entry in scans.events(run, "new", "READY tw")] == ["two"]
    assert list(scans.events(run, "", "nothing-like-it")) == []


def test_two_runs_are_compared_by_all_that_happened_between_them(shelf: Path, scan: Scan) -> None:
    first = scan()
    builders.transformers(shelf / "six", hidden=128)
    second = scan()
    shutil.rmtree(shelf / "one")
    (shelf / "two/README.md").write_text("# Two\n")
    third = scan()
    assert compared(first, second) == {"six": "added"}
    assert compared(second, third) == {"one": "gone", "two": "changed"}
    assert compared(first, third) == {"six": "added", "one": "gone", "two": "changed"}
    assert scans.compare(first, third).runs == 2


def test_what_came_and_went_in_between_is_no_difference(shelf: Path, scan: Scan) -> None:
    first = scan()
    builders.transformers(shelf / "six", hidden=128)
    scan()
    shutil.rmtree(shelf / "six")
    assert compared(first, scan()) == {}


def test_a_missing_model_that_turns_up_elsewhere_was_not_there_before(
    shelf: Path, scan: Scan
) -> None:
    scan()
    (shelf / "one").rename(shelf.parent / "away")
    gone = scan()
    (shelf.parent / "away").rename(shelf / "elsewhere")
    found = scan()
    assert did(found, "moved") == ["one"]
    assert compared(gone, found) == {"one": "added"}


def test_a_comparison_says_whose_log_is_not_kept_any_more(shelf: Path, scan: Scan) -> None:
    first, second = scan(), scan()
    LogEntry.objects.filter(scan=second).delete()
    assert scans.compare(first, second).untold == 1
