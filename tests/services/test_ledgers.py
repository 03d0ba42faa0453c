"""The ledger across scans, on its page, in the API and from the command line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from discovery.engine.disk.ledger import LARGE, Use
from discovery.engine.identify import unrecognized
from discovery.models import RegisteredModel, Root, ScanRun, Unrecognized
from discovery.services.core import config_files
from discovery.services.scans import ledgers
from tests.support import builders
from tests.support.page_text import page_text

Scan = Callable[..., ScanRun]

pytestmark = pytest.mark.django_db


def sparse(path: Path, size: int, head: bytes = b"") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(size)


def paths() -> dict[str, str]:
    return dict(Unrecognized.objects.values_list("path", "guess"))


def test_large_files_that_no_reader_knows_are_kept_and_opened_once(
    models_root: Path, scan: Scan, monkeypatch: pytest.MonkeyPatch
) -> None:
    builders.transformers(models_root / "model")
    sparse(models_root / "data/table.parquet", 2 * LARGE, b"PAR1")
    scan(models_root)
    assert paths() == {"data/table.parquet": "a Parquet table"}
    row = Unrecognized.objects.get()
    assert (row.size_bytes, row.first_bytes[:8]) == (2 * LARGE, b"PAR1".hex())
    opened: list[str] = []
    look = unrecognized.look
    monkeypatch.setattr(
        unrecognized, "look", lambda root, entry: (opened.append(entry.path), look(root, entry))[1]
    )
    scan(models_root)
    assert opened == []
    assert Unrecognized.objects.get().pk == row.pk
    sparse(models_root / "data/table.parquet", 3 * LARGE, b"hello")
    sparse(models_root / "other.xyz", LARGE, b"\xff\xfe\x00")
    scan(models_root)
    assert sorted(opened) == ["data/table.parquet", "other.xyz"]
    (models_root / "other.xyz").unlink()
    scan(models_root)
    assert set(paths()) == {"data/table.parquet"}


def test_the_sums_are_what_the_disk_holds(models_root: Path, scan: Scan) -> None:
    builders.transformers(models_root / "model")
    sparse(models_root / "x.xyz", LARGE)
    scan(models_root)
    held = sum(path.stat().st_size for path in models_root.rglob("*") if path.is_file())
    sums = ledgers.sums(Root.objects.all())
    assert sum(count.bytes for count in sums.values()) == held
    assert sums[Use.UNRECOGNIZED] == ledgers.Count(1, LARGE)


def test_a_scan_of_one_folder_leaves_the_rest_alone(models_root: Path, scan: Scan) -> None:
    sparse(models_root / "a/one.xyz", LARGE)
    sparse(models_root / "b/two.xyz", LARGE)
    scan(models_root)
    before = Root.objects.get().ledger
    (models_root / "a/one.xyz").unlink()
    sparse(models_root / "b/three.xyz", LARGE)
    scan(models_root / "b")
    assert set(paths()) == {"a/one.xyz", "b/two.xyz", "b/three.xyz"}
    assert Root.objects.get().ledger == before


def configure(config_dir: Path, models_root: Path, *formats: str) -> None:
    document = {"discovery": {"roots": [str(models_root)], "supported_formats": formats}}
    (config_dir / "model_discovery.json").write_text(json.dumps(document))


def test_a_format_left_out_is_counted_and_added_with_one_click(
    models_root: Path, scan: Scan, admin_client: Client, config_dir: Path
) -> None:
    configure(config_dir, models_root, "gguf")
    builders.safetensors(models_root / "one.safetensors", [("w", "F32", (4, 4))])
    scan(models_root)
    assert not RegisteredModel.objects.exists()
    page = page_text(admin_client.get("/scans/unrecognized/"))
    assert "safetensors" in page
    scan(models_root)
    answer = admin_client.post(
        "/scans/unrecognized/support/", {"format": "safetensors"}, follow=True
    )
    assert "was added to supported_formats" in page_text(answer)
    assert config_files.discovery().supports == {"gguf", "safetensors"}
    scan(models_root)
    assert RegisteredModel.objects.get().format == "safetensors"
    assert not ledgers.formats_left_out(Root.objects.all())


def test_a_format_that_is_not_left_out_changes_nothing(
    models_root: Path, scan: Scan, admin_client: Client
) -> None:
    builders.transformers(models_root / "model")
    scan(models_root)
    answer = admin_client.post("/scans/unrecognized/support/", {"format": "gguf"}, follow=True)
    assert "Nothing was changed." in page_text(answer)


def test_page_api_and_command_tell_the_same(
    models_root: Path,
    scan: Scan,
    admin_client: Client,
    client: Client,
    django_user_model: type[User],
) -> None:
    builders.transformers(models_root / "model")
    sparse(models_root / "data/ta&ble.parquet", 2 * LARGE, b"PAR1")
    scan(models_root)
    page = page_text(admin_client.get("/scans/unrecognized/"))
    assert "data/ta&amp;ble.parquet" in page
    assert "a Parquet table" in page
    assert f"/register/?path={str(models_root).replace('/', '%2F')}/data%2Fta%26ble.parquet" in page
    found = page_text(admin_client.get("/scans/unrecognized/", {"q": "zzz"}))
    assert "No path and no guess holds “zzz”." in found
    assert "1 file not recognized" in page_text(admin_client.get("/scans/"))
    assert "Unrecognized" in page_text(admin_client.get("/"))
    answer = admin_client.get("/api/models/discovery/unrecognized").json()
    assert answer["results"] == [
        {
            "path": "data/ta&ble.parquet",
            "root": str(models_root),
            "size_bytes": 2 * LARGE,
            "first_bytes": (b"PAR1" + b"\0" * 12).hex(),
            "guess": "a Parquet table",
        }
    ]
    assert answer["totals"]["unrecognized"] == {"files": 1, "bytes": 2 * LARGE}
    out = StringIO()
    with pytest.raises(SystemExit):
        call_command("scan_models", str(models_root), json=True, stdout=out)
    assert json.loads(out.getvalue())["unrecognized"] == {"files": 1, "bytes": 2 * LARGE}
    client.force_login(django_user_model.objects.create_user("viewer"))
    assert client.get("/api/models/discovery/unrecognized").status_code == 403


def test_sums_stay_when_nothing_changes_whatever_the_names(models_root: Path, scan: Scan) -> None:
    builders.transformers(models_root / "model")
    sparse(models_root / os.fsdecode(b"model/odd-\xff.xyz"), 2 * LARGE)
    scan(models_root)
    before = Root.objects.get().ledger
    assert before["unrecognized"]["bytes"] == 2 * LARGE
    scan(models_root)
    assert Root.objects.get().ledger == before


def test_a_file_that_comes_to_lie_in_a_model_is_counted_there_from_then_on(
    models_root: Path, scan: Scan
) -> None:
    sparse(models_root / "model/extra.xyz", 2 * LARGE, b"PAR1")
    scan(models_root)
    builders.transformers(models_root / "model")
    scan(models_root)
    row = Unrecognized.objects.get()
    assert (row.place, row.guess) == ("model", "a Parquet table")
    before = Root.objects.get().ledger
    scan(models_root)
    assert Root.objects.get().ledger == before
