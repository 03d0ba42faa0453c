"""A download whose process is killed goes on with what is on the disk, and large ones take no more
memory than small ones.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from tests.support import hub as hub_support
from tests.support.hub import Hub, HubFile, HubModel
from tests.support.waiting import until

pytestmark = pytest.mark.slow

MB = 10**6
SCRIPT = """
import json, resource, sys
import django
django.setup()
from discovery.models import Download, Root
from discovery.services import jobs
from discovery.services.downloads import queue
from discovery.services.downloads.planning import Wish

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

if not Download.objects.exists():
    root = Root.objects.create(path=sys.argv[1])
    wish = Wish("huggingface", sys.argv[2], root=root, folder="placed")
    job, _ = queue.request(wish, by=None)
else:
    jobs.housekeep()
    job = Download.objects.get()
before = peak()
done = jobs.execute(job)
print(json.dumps({"state": done.state, "message": done.message, "grown": peak() - before}))
"""


@pytest.fixture
def hub() -> Iterator[Hub]:
    with hub_support.running() as server:
        yield server


@pytest.fixture
def start(tmp_path: Path, migrated: Path, hub: Hub) -> Callable[[str], subprocess.Popen[str]]:
    """``start(remote_id)`` downloads it in a process of its own, or goes on with it."""
    for name in ("data", "config", "models"):
        (tmp_path / name).mkdir()
    shutil.copy(migrated, tmp_path / "data" / "karen.sqlite3")
    named = {"huggingface": {"enabled": True, "endpoint": hub.endpoint}}
    written = {
        "external_registries.json": {"external_registries": named},
        "model_discovery.json": {"downloads": {"reserve_gb": 0}},
    }
    for name, document in written.items():
        (tmp_path / "config" / name).write_text(json.dumps(document))
    own = {
        "KAREN_DATA_DIR": str(tmp_path / "data"),
        "KAREN_CONFIG_DIR": str(tmp_path / "config"),
        "KAREN_LOGS_DIR": str(tmp_path / "logs"),
        "KAREN_REGISTRY_PRIVATE": "127.0.0.1",
        "DJANGO_SETTINGS_MODULE": "karen_admin.settings",
        "PYTHONPATH": str(settings.BASE_DIR),
    }
    left_out = ("DATABASE_URL", "REDIS_URL", "HF_TOKEN", "HF_ENDPOINT")
    env = {name: value for name, value in os.environ.items() if name not in left_out}

    def started(remote_id: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", SCRIPT, str(tmp_path / "models"), remote_id]
        return subprocess.Popen(command, env={**env, **own}, stdout=subprocess.PIPE, text=True)

    return started


def staged_bytes(root: Path) -> int:
    parts = (root / ".karen-downloads").glob("*/parts/*")
    return sum(path.stat().st_size for path in parts)


def ended(process: subprocess.Popen[str]) -> dict[str, Any]:
    told, _ = process.communicate(timeout=600)
    answer: dict[str, Any] = json.loads(told.splitlines()[-1])
    return answer


def test_a_killed_download_goes_on(hub: Hub, start: Any, tmp_path: Path) -> None:
    weights = HubFile(size=20 * MB, is_lfs=True, step=1 << 16)
    weights.before = lambda _offset: time.sleep(0.01)
    hub.add(HubModel("acme/x", {"x.weights": weights, "config.json": HubFile(b"{}")}))
    root = tmp_path / "models"
    process = start("acme/x")
    until(lambda: staged_bytes(root) > 3 * MB)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert not (root / "placed").exists()
    there = staged_bytes(root)
    weights.before = None
    assert ended(start("acme/x"))["state"] == "done"
    assert (root / "placed/x.weights").stat().st_size == 20 * MB
    ranges = [headers.get("range") for _, path, headers in hub.asked if "/lfs/" in path]
    assert ranges == [None, f"bytes={there}-"]
    assert not (root / ".karen-downloads").exists()


def test_two_gigabytes_take_no_more_memory_than_two_megabytes(
    hub: Hub, start: Any, tmp_path: Path
) -> None:
    hub.add(HubModel("acme/x", {"x.weights": HubFile(size=2_000 * MB, is_lfs=True)}))
    told = ended(start("acme/x"))
    assert told["state"] == "done", told
    assert told["grown"] < 64 * MB
