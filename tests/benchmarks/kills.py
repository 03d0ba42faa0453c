"""Killing every process in turn: ``python tests/benchmarks/kills.py --rounds 50`` starts
``qcluster`` on models of its own.

``--command "serve --port 8123"`` starts that instead. Each round kills one process of the tree
(SIGKILL), idle or busy with jobs of every kind, and waits for all of them to be done; where the
command itself is killed it is started again, as a supervisor would. ``DATABASE_URL`` and
``REDIS_URL`` are used when they are set: what they hold is lost.

Holds: work goes on within 60 s each time, every job ends well, every message arrives, and the
documents are those of a scan into an empty database with the same edits.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

from discovery.engine.core.service_words import ImportStage

BASE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(BASE))

GOES_ON_SECONDS = 60.0
MODELS = 24


class Receiver:
    """Counts the messages that arrive for a webhook."""

    def __init__(self) -> None:
        self.heard: set[str] = set()
        heard = self.heard

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                heard.add(json.loads(body)["id"])
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Nothing on the terminal."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


class Site:
    """The command under test, started again whenever it has ended."""

    def __init__(self, command: str, log: Path) -> None:
        self.command = [sys.executable, str(BASE / "manage.py"), *shlex.split(command)]
        self.log = log.open("ab")
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        out = {"stdout": self.log, "stderr": self.log}
        return subprocess.Popen(self.command, start_new_session=True, cwd=BASE, **out)

    def keep(self) -> None:
        if self.process.poll() is not None:
            self.process = self._start()

    def family(self) -> list[Any]:
        """Every process of it that is there, with its role."""
        import psutil

        try:
            top = psutil.Process(self.process.pid)
            found = [top, *top.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []
        return [
            each for each in found if each.is_running() and each.status() != psutil.STATUS_ZOMBIE
        ]

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def roles_of(site: Site) -> dict[str, list[Any]]:
    """{role: processes}; those that end meanwhile are left out."""
    import psutil

    found: dict[str, list[Any]] = {}
    for process in site.family():
        with suppress(psutil.NoSuchProcess, ValueError):  # its parent has lost it already
            found.setdefault(role(process, site), []).append(process)
    return found


def role(process: Any, site: Site) -> str:
    """By place in the tree: the sentinel is the one that has children, its children are workers,
    monitor and pusher in this order.
    """
    line = " ".join(process.cmdline())
    if process.pid == site.process.pid:
        return "command"
    if "discovery.loading" in line:
        return "test load"
    if "granian" in line:
        return "web"
    if "qcluster" not in line:
        return "other"
    parent = process.parent()
    if parent is None or "qcluster" not in " ".join(parent.cmdline()):
        return "guard"
    if process.children():
        return "sentinel"
    if parent.pid == site.process.pid or "serve" in " ".join((parent.parent() or parent).cmdline()):
        return "housekeeper"
    place = sorted(child.pid for child in parent.children()).index(process.pid)
    return ("worker", "worker", "monitor", "pusher")[min(place, 3)]


def work(number: int, by: Any) -> dict[str, Any]:
    """Asks for a job of each kind; returns what was decided, to be decided again elsewhere."""
    from discovery.models import RegisteredModel, ScanRun
    from discovery.services import scans
    from discovery.services.bulk import bulk_edits
    from discovery.services.bulk.operations import Operation
    from discovery.services.health import deep_validation, test_loads
    from discovery.services.scans import categorization
    from discovery.services.transfer import import_jobs

    models = list(RegisteredModel.objects.exclude(status="MISSING").order_by("pk"))
    some = models[number % len(models)]
    # Licenses that none of the models states itself: an import of what is known changes nothing.
    tag, license_ = f"round-{number}", ("mit", "bsd-3-clause", "gpl-3.0")[number % 3]
    tagging = {
        **Operation.read("tags", add={"tags": [tag]}).as_json(),
        "atomic": False,
        "channel": "page",
    }
    bulk_edits._begin(tagging, {"keys": [each.pk for each in models]}, by, at_once=False)
    content = f"model_id,license\n{some.model_id},{license_}\n".encode()
    applying = {"stage": ImportStage.APPLY, "requested_by": by, "batch": uuid4()}
    import_jobs.KIND.request(name="edits.csv", content=content, **applying)
    categorization.request_recategorization(by)
    deep_validation.request(some)
    test_loads.request(some)
    scans.request(ScanRun.Trigger.PAGE, full=True)
    return {
        "tag": tag,
        "models": [each.model_id for each in models],
        "license": (some.model_id, license_),
    }


def open_jobs() -> list[Any]:
    from discovery.services import jobs

    found: list[Any] = []
    for kind in jobs.kinds():
        rows = kind.light().filter(state__in=kind.model.ACTIVE)
        found += [*rows, *kind.light().filter(state=kind.state.INTERRUPTED, goes_on=True)]
    return found


def wait_until(done: Any, site: Site, seconds: float) -> float | None:
    """Seconds until ``done``; ``None`` when it was not in time."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        site.keep()
        if done():
            return time.monotonic() - began
        time.sleep(0.1)
    return None


def replay(edits: list[dict[str, Any]], by: Any) -> None:
    from discovery.models import RegisteredModel
    from discovery.services.metadata import metadata

    records = {each.model_id: each for each in RegisteredModel.objects.all()}
    for edit in edits:
        for model_id in edit["models"]:
            record = records[model_id]
            tags = [*(record.value("tags") or []), edit["tag"]]
            metadata.edit(record, {"tags": tags}, by=by, channel="page")
        model_id, license_ = edit["license"]
        metadata.edit(records[model_id], {"license": license_}, by=by, channel="import")


def documents() -> dict[str, Any]:
    """{path: document} without the moments at which things happened, which differ."""
    from discovery.models import RegisteredModel
    from discovery.services.registry import records

    found = {}
    for record in RegisteredModel.objects.select_related("root"):
        shown = records.document(record)
        for name in ("added_at", "last_seen_at"):
            shown.pop(name)
        shown["tags"] = sorted(shown.get("tags") or [])
        found[record.path] = shown
    return found


def make_models(root: Path) -> None:
    from tests.support import builders

    for number in range(MODELS):
        builders.transformers(root / f"model-{number:02}", hidden=64 + 8 * number)


def touch(root: Path, number: int) -> None:
    """Something for the next scan to read."""
    from tests.support import builders

    builders.transformers(root / f"model-{number % MODELS:02}", hidden=64 + 8 * ((number * 7) % 40))
    builders.transformers(root / f"added-{number:02}", hidden=72)


def main(rounds: int, command: str, seed: int) -> int:
    from django.contrib.auth.models import User

    from discovery.models import WebhookDelivery
    from discovery.services.integrations import webhooks

    chance, receiver, folder = (
        random.Random(seed),
        Receiver(),
        Path(os.environ["KAREN_DATA_DIR"]).parent,
    )
    models = Path(os.environ["KAREN_MODELS_DIR"])
    make_models(models)
    by = User.objects.get(username="admin")
    webhooks.create(receiver.url, ["scan.finished"], by=by)
    site = Site(command, folder / "command.log")
    edits: list[dict[str, Any]] = []
    bad: list[str] = []
    took: list[float] = []
    try:
        bad += [f"at first, {lost}"] if (lost := _scan(site)) else []
        for number in range(rounds):
            told = _round(number, site, chance, by, edits, models, took)
            bad += told
            print(
                f"  round {number + 1}: {'; '.join(told) or 'went on'} ({took[-1]:.1f} s)",
                flush=True,
            )
        bad += [f"at last, {lost}"] if (lost := _scan(site)) else []
        told = {str(uuid) for uuid in WebhookDelivery.objects.values_list("uuid", flat=True)}
        if told - receiver.heard:
            bad.append(f"{len(told - receiver.heard)} of {len(told)} messages did not arrive")
    finally:
        site.stop()
    bad += _ended_badly()
    bad += _differences(documents(), folder, edits)
    slowest = max(took, default=0)
    print(
        f"{rounds} rounds of {command!r}: {len(bad)} faults; went on after"
        f" {sorted(took)[len(took) // 2]:.1f} s (median), {slowest:.1f} s (most)"
    )
    print("\n".join(bad))
    return 1 if bad else 0


def _round(
    number: int,
    site: Site,
    chance: random.Random,
    by: Any,
    edits: list[Any],
    models: Path,
    took: list[float],
) -> list[str]:
    import psutil

    ready = wait_until(lambda: len(site.family()) >= 5 and not open_jobs(), site, GOES_ON_SECONDS)
    if ready is None:
        took.append(GOES_ON_SECONDS)
        return [f"round {number + 1}: not ready before it: {[str(job) for job in open_jobs()]}"]
    touch(models, number)
    busy = number % 2 == 1
    if busy:
        edits.append(work(number, by))
        time.sleep(chance.uniform(0, 2.5))
    family = roles_of(site)
    wanted = sorted(family)[(number // 2) % len(family)]
    victim = chance.choice(family[wanted])
    with suppress(psutil.NoSuchProcess):  # a test load ends by itself
        victim.kill()
    if not busy:
        edits.append(work(number, by))
    print(f"  {'busy' if busy else 'idle'}: {wanted} {victim.pid} killed", flush=True)
    seconds = wait_until(lambda: not open_jobs(), site, GOES_ON_SECONDS)
    took.append(GOES_ON_SECONDS if seconds is None else seconds)
    if seconds is None:
        return [
            f"round {number + 1} ({wanted}): still open: "
            + str([f"{job} {job.state}" for job in open_jobs()])
        ]
    return []


def _scan(site: Site) -> str:
    from discovery.models import ScanRun
    from discovery.services import scans

    scans.request(ScanRun.Trigger.PAGE)
    done = wait_until(lambda: not open_jobs(), site, GOES_ON_SECONDS)
    return "" if done is not None else "a scan did not end"


def _ended_badly() -> Iterator[str]:
    from discovery.services import jobs

    for kind in jobs.kinds():
        for job in kind.light().filter(state=kind.state.FAILED):
            yield f"{job} failed: {job.message}"
        for job in kind.light().filter(
            state=kind.state.INTERRUPTED, goes_on=False, interruptions__gte=3
        ):
            yield f"{job} was given up: {job.message}"


def _differences(found: dict[str, Any], folder: Path, edits: list[dict[str, Any]]) -> list[str]:
    (folder / "edits.json").write_text(json.dumps(edits))
    env = {
        **os.environ,
        "DATABASE_URL": f"sqlite:///{folder / 'again.sqlite3'}",
        "KAREN_KILLS_REPLAY": str(folder / "edits.json"),
    }
    env.pop("REDIS_URL", None)
    told = subprocess.run([sys.executable, __file__], env=env, check=True, stdout=subprocess.PIPE)
    expected = json.loads(told.stdout.splitlines()[-1])
    found = json.loads(json.dumps(found))
    bad = [f"{path} is only in one of them" for path in set(found) ^ set(expected)]
    for path in set(found) & set(expected):
        names = [name for name in expected[path] if found[path].get(name) != expected[path][name]]
        bad += [
            f"{path}: {name}: {found[path].get(name)!r} instead of {expected[path][name]!r}"[:400]
            for name in names
        ]
    return bad


def replayed() -> int:
    """The other side of the comparison: a scan into an empty database, and the edits."""
    from django.contrib.auth.models import User

    from discovery.models import ScanRun
    from discovery.services import scans

    scans.execute(scans.start_now(ScanRun.Trigger.COMMAND)[0])
    replay(
        json.loads(Path(os.environ["KAREN_KILLS_REPLAY"]).read_text()),
        User.objects.get(username="admin"),
    )
    print(json.dumps(documents()))
    return 0


def set_up() -> None:
    import django
    from django.contrib.auth import get_user_model
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0, interactive=False)
    users = get_user_model()
    if not users.objects.filter(username="admin").exists():
        users.objects.create_superuser("admin", password=uuid4().hex)


if __name__ == "__main__":
    os.environ["DJANGO_SETTINGS_MODULE"] = "karen_admin.settings"
    if os.environ.get("KAREN_KILLS_REPLAY"):
        set_up()
        sys.exit(replayed())
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--command", default="qcluster")
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="karen-kills-") as temporary:
        for variable, place in {
            "DATA": "data",
            "LOGS": "logs",
            "CONFIG": "config",
            "MODELS": "models",
        }.items():
            os.environ[f"KAREN_{variable}_DIR"] = f"{temporary}/{place}"
            Path(temporary, place).mkdir()
        os.environ.setdefault("DATABASE_URL", f"sqlite:///{temporary}/data/karen.sqlite3")
        os.environ["KAREN_WEBHOOK_PRIVATE"] = "127.0.0.0/8"
        set_up()
        code = main(chosen.rounds, chosen.command, chosen.seed)
        if code:
            print(Path(temporary, "command.log").read_text()[-6000:])
    sys.exit(code)
