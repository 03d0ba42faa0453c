"""A cache that the Hub's own client made: its models are found, and every byte counts once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import scan_cache_dir

from discovery.engine.disk.ledger import Use
from discovery.models import RegisteredModel, Root, ScanRun
from discovery.services.scans import ledgers
from tests.support import builders
from tests.support.hub import Hub, HubFile, HubModel, running

pytestmark = pytest.mark.django_db

MODELS = ("org/one", "org/two", "someone/three")
SECOND = "b" * 40
_DOWNLOAD = """
import sys
from huggingface_hub import snapshot_download
name, revision, endpoint, folder = sys.argv[1:]
snapshot_download(name, revision=revision, endpoint=endpoint, cache_dir=folder, token=False)
"""


def published(hub: Hub, folder: Path) -> None:
    """Three models on the hub; the first has a second commit with another card."""
    for name in MODELS:
        builders.transformers(folder / name)
        files = {
            path.name: HubFile(path.read_bytes(), is_lfs=path.suffix == ".safetensors")
            for path in (folder / name).iterdir()
        }
        files["data.parquet"] = HubFile(size=3 << 20, is_lfs=True)
        hub.add(HubModel(name, files))
    hub.models["org/one"].commit(SECOND, README__md=HubFile(b"# Another card\n"))


def downloaded(endpoint: str, folder: Path, wanted: list[tuple[str, str]]) -> None:
    """In a process of its own: here the client sends through our filter."""
    for name, revision in wanted:
        subprocess.run(
            [sys.executable, "-c", _DOWNLOAD, name, revision, endpoint, str(folder)],
            check=True,
            capture_output=True,
            timeout=120,
        )


def held(folder: Path) -> int:
    """The bytes of all files; a link has none of its own."""
    return sum(
        (Path(base) / name).lstat().st_size
        for base, _, names in os.walk(folder)
        for name in names
        if not (Path(base) / name).is_symlink()
    )


def test_the_ledger_of_a_cache_made_by_the_real_client_adds_up(
    tmp_path: Path, models_root: Path, scan: Callable[..., ScanRun]
) -> None:
    with running() as hub:
        published(hub, tmp_path / "published")
        [first] = hub.models["org/one"].older
        wanted = [*((name, "main") for name in MODELS), ("org/one", first)]
        downloaded(hub.endpoint, models_root, wanted)
    assert {each.repo_id for each in scan_cache_dir(models_root).repos} == set(MODELS)
    scan(models_root)
    found = RegisteredModel.objects.exclude(status="MISSING")
    assert sorted({row.name for row in found}) == sorted(MODELS)
    assert {row.status for row in found} == {"READY"}
    counted = ledgers.sums(Root.objects.all())
    assert sum(each.bytes for each in counted.values()) == held(models_root)
    assert counted[Use.UNRECOGNIZED].bytes < 1_000, "the tag that marks the folder as a cache"
