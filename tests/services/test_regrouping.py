"""A registry of before, scanned by readers that see better what belongs together: ids stay, what
people decided is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from discovery.engine.core import names
from discovery.engine.core.version import READERS
from discovery.engine.disk import layouts
from discovery.models import RegisteredModel, ScanRun
from discovery.services.metadata import metadata
from tests.support import builders
from tests.support.builders import Sizes

Scan = Callable[..., ScanRun]

pytestmark = pytest.mark.django_db

SMALL = Sizes(hidden=256)


def gguf(path: Path, kind: str = "Q4_K_M", name: str = "Sample 1B", sizes: Sizes = SMALL) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    builders.gguf_model(path, name, sizes, kind)


def quantizations(home: Path, *kinds: str) -> None:
    for kind in kinds:
        gguf(home / kind / f"Sample-1B-{kind}.gguf", kind)


def outdate() -> None:
    """As the readers of before have left the registry."""
    RegisteredModel.objects.update(read_by=READERS - 1)


def scan_as_before(
    scan: Scan, root: Path, monkeypatch: pytest.MonkeyPatch, owner: object, name: str, old: object
) -> None:
    """``name`` of ``owner`` was ``old`` then."""
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, old)
        scan(root)
    outdate()


@pytest.fixture
def two_records(models_root: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Ids of two quantizations in folders of their own, as they were registered before."""
    quantizations(models_root / "shelf" / "Sample-1B-GGUF", "Q4_K_M", "Q8_0")
    builders.transformers(models_root / "other")
    scan_as_before(scan, models_root, monkeypatch, layouts, "quantized", lambda *_: None)
    rows = RegisteredModel.objects.exclude(path="other").order_by("path")
    assert [row.path.split("/")[2] for row in rows] == ["Q4_K_M", "Q8_0"]
    return [row.model_id for row in rows]


def decide(model_id: str, by: User, text: str) -> None:
    metadata.edit(
        RegisteredModel.objects.get(model_id=model_id),
        {"description": text},
        by=by,
        channel="page",
    )


def test_a_better_name_never_changes_an_id(models_root: Path, scan: Scan) -> None:
    gguf(models_root / "acme" / "Sample-1B" / "model.gguf")
    scan(models_root)
    RegisteredModel.objects.update(name="model", model_id="model")
    outdate()
    run = scan(models_root)
    record = RegisteredModel.objects.get()
    assert (run.new, run.missing) == (0, 0)
    assert (record.model_id, record.name, record.read_by) == ("model", "Sample-1B", READERS)


def test_two_records_that_become_one_keep_an_id_of_before(
    models_root: Path, scan: Scan, two_records: list[str]
) -> None:
    run = scan(models_root)
    record = RegisteredModel.objects.get(path__startswith="shelf")
    assert record.path == "shelf/Sample-1B-GGUF"
    assert record.model_id in two_records
    assert (len(record.variants), run.new, run.missing) == (2, 0, 0)
    assert scan(models_root).unchanged == 2


@pytest.mark.parametrize("number", [0, 1])
def test_what_was_decided_about_one_of_them_stays_with_its_id(
    models_root: Path, scan: Scan, two_records: list[str], number: int, admin_user: User
) -> None:
    decide(two_records[number], admin_user, "Ours")
    scan(models_root)
    record = RegisteredModel.objects.get(path__startswith="shelf")
    assert (record.model_id, record.description) == (two_records[number], "Ours")
    assert record.changes.count() == 1


def test_decisions_about_both_are_kept_apart_for_a_person(
    models_root: Path, scan: Scan, two_records: list[str], admin_user: User
) -> None:
    for model_id in two_records:
        decide(model_id, admin_user, f"About {model_id}")
    run = scan(models_root)
    assert run.missing == 1
    told = {
        row.model_id: (row.status, row.description)
        for row in RegisteredModel.objects.filter(model_id__in=two_records)
    }
    assert sorted(status for status, _ in told.values()) == ["MISSING", "READY"]
    assert all(text == f"About {model_id}" for model_id, (_, text) in told.items())


def test_a_second_quantization_joins_the_record_of_the_first(
    models_root: Path, scan: Scan, admin_user: User
) -> None:
    quantizations(models_root / "Sample-1B-GGUF", "Q4_K_M")
    scan(models_root)
    record = RegisteredModel.objects.get()
    decide(record.model_id, admin_user, "Ours")
    quantizations(models_root / "Sample-1B-GGUF", "Q8_0")
    run = scan(models_root)
    again = RegisteredModel.objects.get()
    assert (again.pk, again.description, len(again.variants)) == (record.pk, "Ours", 2)
    assert (run.new, run.missing) == (0, 0)


def test_voices_that_were_models_of_their_own_join_their_model(
    models_root: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = models_root / "Speaker"
    builders.transformers(home)
    for name in ("anna", "bert"):
        builders.torch_zip(home / "voices" / f"{name}.pt", [("v", "F32", (2, 2))])
    before = frozenset(names.PART_FOLDERS - {"voices"})
    scan_as_before(scan, models_root, monkeypatch, names, "PART_FOLDERS", before)
    assert RegisteredModel.objects.count() == 3
    run = scan(models_root)
    record = RegisteredModel.objects.get()
    assert (record.path, record.model_id, run.missing) == ("Speaker", "speaker", 0)


def test_what_is_no_model_any_more_is_forgotten_unless_somebody_decided_about_it(
    models_root: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch, admin_user: User
) -> None:
    for number, name in enumerate(("a", "b", "c", "#recycle/old", "#recycle/loved")):
        builders.transformers(models_root / name, hidden=64 + 8 * number)
    before = frozenset(names.NEVER - {"#recycle"})
    scan_as_before(scan, models_root, monkeypatch, names, "NEVER", before)
    decide("loved", admin_user, "Mine")
    outdate()
    run = scan(models_root)
    assert run.missing == 1
    assert sorted(RegisteredModel.objects.values_list("model_id", "status")) == [
        ("a", "READY"),
        ("b", "READY"),
        ("c", "READY"),
        ("loved", "MISSING"),
    ]


def test_of_a_record_that_splits_the_part_with_its_main_weights_keeps_everything(
    models_root: Path, scan: Scan, admin_user: User
) -> None:
    snapshot = models_root / "models--acme--collection" / "snapshots" / ("a" * 40)
    gguf(snapshot / "Sample-1B-Q4_K_M.gguf")
    scan(models_root)
    record = RegisteredModel.objects.get()
    decide(record.model_id, admin_user, "Ours")
    gguf(snapshot / "Another-3B-Q4_K_M.gguf", name="Another 3B", sizes=Sizes(hidden=512))
    run = scan(models_root)
    again = RegisteredModel.objects.get(pk=record.pk)
    other = RegisteredModel.objects.exclude(pk=record.pk).get()
    assert (again.model_id, again.description) == (record.model_id, "Ours")
    assert [variant["files"][0].split("/")[-1] for variant in again.variants] == [
        "Sample-1B-Q4_K_M.gguf"
    ]
    assert (other.name, other.description, run.new, run.missing) == ("Another-3B", "", 1, 0)
