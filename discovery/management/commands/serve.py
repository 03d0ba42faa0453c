"""``serve``: everything in one command. Migrates, makes the first administrator, starts workers and web server, and stops them all."""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import DatabaseError

from discovery.models import Root, ScanRun
from discovery.services import bulk, configs, deep_validation, import_runs, load_tests, scans

logger = logging.getLogger(__name__)

#: Both web server and workers must be gone this long after the signal.
GRACE_SECONDS = 7.0


class Command(BaseCommand):
    help = "Migrate, create the first administrator, start workers and web server. Ctrl-C stops all of it."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument(
            "--models",
            action="append",
            default=[],
            metavar="PATH",
            help="a folder of models (repeatable)",
        )
        parser.add_argument(
            "--workers", type=int, default=1, metavar="N", help="web server processes"
        )
        parser.add_argument(
            "--no-cluster", action="store_true", help="web only: no task workers, no scans"
        )
        parser.add_argument(
            "--demo",
            action="store_true",
            help="some 40 small models made on the spot, in a data folder that goes when serve stops",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["demo"] and os.environ.get("KAREN_DEMO") is None:
            sys.exit(self._demo(options))
        refusal = _refusal(options["host"], options["port"], options["models"])
        if refusal:
            self.stderr.write(refusal)
            sys.exit(2)
        for fault in configs.faults():
            self.stderr.write(f"{fault} — the last good version is in force.")
        call_command("migrate", interactive=False, verbosity=0)
        password = _first_administrator()
        for path in options["models"]:
            scans.locate(path, add=True)
        scans.sync_roots()
        _reap()
        if not options["no_cluster"]:
            scans.sync_schedule()
            deep_validation.sync_schedule()
            if configs.discovery().auto_refresh_on_startup:
                scans.request(ScanRun.Trigger.STARTUP)
            scans.dispatch_queued()
            deep_validation.dispatch_queued()
            load_tests.dispatch_queued()
            bulk.dispatch_queued()
            import_runs.dispatch_queued()
        self._greet(options, password)
        meanwhile = (lambda: None) if options["no_cluster"] else _end_work
        sys.exit(_run(_children(options), while_stopping=meanwhile, after_stop=_reap))

    def _greet(self, options: dict[str, Any], password: str | None) -> None:
        shown = f"[{options['host']}]" if ":" in options["host"] else options["host"]
        self.stdout.write(f"Karen Admin is at http://{shown}:{options['port']}/  (Ctrl-C stops it)")
        if password and "KAREN_ADMIN_PASSWORD" not in os.environ:
            self.stdout.write(
                f"Sign in as admin with the password {password}  (shown once; change it in the admin)"
            )
        for root in Root.objects.filter(enabled=True):
            there = (
                ""
                if Path(root.path).is_dir()
                else "  (not there yet: make the folder and put models in it)"
            )
            self.stdout.write(f"Models in {root.path}{there}")
        if (
            options["host"] not in ("127.0.0.1", "localhost", "::1")
            and "*" not in settings.ALLOWED_HOSTS
        ):
            self.stdout.write(
                f"Other machines reach it under these names: {', '.join(settings.ALLOWED_HOSTS)} (KAREN_ALLOWED_HOSTS)"
            )
        self.stdout.flush()

    def _demo(self, options: dict[str, Any]) -> int:
        """Runs ``serve`` again as a child on a temporary tree and data folder, and clears both away after it."""
        from discovery.demo.tree import make_demo_tree

        folder = Path(tempfile.mkdtemp(prefix="karen-demo-"))
        try:
            make_demo_tree(folder / "models")
            command = [
                sys.executable,
                str(settings.BASE_DIR / "manage.py"),
                "serve",
                "--demo",
                "--host",
                options["host"],
                "--port",
                str(options["port"]),
            ]
            command += [
                "--workers",
                str(options["workers"]),
                *(["--no-cluster"] if options["no_cluster"] else []),
            ]
            places = {
                "KAREN_DATA_DIR": "var",
                "KAREN_LOGS_DIR": "logs",
                "KAREN_CONFIG_DIR": "config",
                "KAREN_MODELS_DIR": "models",
            }
            env = {
                **os.environ,
                "KAREN_DEMO": "1",
                **{name: str(folder / path) for name, path in places.items()},
            }
            env["DATABASE_URL"] = f"sqlite:///{folder / 'var' / 'karen.sqlite3'}"
            env.pop("REDIS_URL", None)
            self.stdout.write(f"A demo in {folder}: it is removed when serve stops.")
            self.stdout.flush()
            return _run([command], env, grace=GRACE_SECONDS + 2)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _refusal(host: str, port: int, models: list[str]) -> str | None:
    """One sentence for the person at the terminal when ``serve`` cannot begin."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OverflowError:
        return f"Port {port} is not between 0 and 65535."
    except OSError as error:
        return f"Port {port} on {host} cannot be used ({error.strerror}): stop the other program, or choose another with --port."
    data = Path(settings.DATA_DIR)
    try:
        data.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=data):
            pass
    except OSError as error:
        return f"The data folder {data} cannot be written ({error.strerror}): set KAREN_DATA_DIR to one that can."
    missing = next((path for path in models if not Path(path).is_dir()), None)
    return (
        f"The models folder {missing} does not exist: give one that does with --models."
        if missing
        else None
    )


def _first_administrator() -> str | None:
    """Creates ``admin`` in an empty installation; returns the password it gave, ``None`` when there are users already."""
    users = get_user_model()
    if users.objects.exists():
        return None
    password = os.environ.get("KAREN_ADMIN_PASSWORD") or secrets.token_urlsafe(12)
    users.objects.create_superuser("admin", password=password)
    return password


def _children(options: dict[str, Any]) -> list[list[str]]:
    manage = [sys.executable, str(settings.BASE_DIR / "manage.py")]
    web = [
        sys.executable, "-m", "granian", "--interface", "wsgi", "--host", options["host"], "--port", str(options["port"]),
        "--workers", str(options["workers"]), "--blocking-threads", "4", "--backpressure", "64", "--no-ws", "--log-level", "warning",
        "--workers-kill-timeout", "3", "karen_admin.wsgi:application",
    ]  # fmt: skip
    return [web] if options["no_cluster"] else [web, [*manage, "qcluster", "--verbosity", "0"]]


def _run(
    commands: list[list[str]],
    env: dict[str, str] | None = None,
    *,
    grace: float = GRACE_SECONDS,
    while_stopping: Callable[[], object] = lambda: None,
    after_stop: Callable[[], object] = lambda: None,
) -> int:
    """Runs the children until a signal or until one of them ends, then stops all. Returns the exit code."""
    signals: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        signals.append(number)

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    env = {**(env or os.environ), "PYTHONUNBUFFERED": "1"}
    # Sessions of their own: Ctrl-C reaches this process alone, which then stops them in order.
    children = [
        subprocess.Popen(command, env=env, start_new_session=True, cwd=settings.BASE_DIR)
        for command in commands
    ]
    try:
        while not signals and all(child.poll() is None for child in children):
            time.sleep(0.1)
        ended = next((child for child in children if child.poll() is not None), None)
        return 0 if signals or ended is None else ended.returncode or 1
    finally:
        _stop(children, grace, while_stopping)
        after_stop()
        for number, handler in previous.items():
            signal.signal(number, handler)


def _reap() -> None:
    """Nothing is left marked running that no process runs any more."""
    scans.reap()
    deep_validation.reap()
    load_tests.reap()
    bulk.reap()
    import_runs.reap()


def _end_work() -> None:
    """What this host's workers are doing ends by itself within a second when told to; what is queued waits for the next start."""
    try:
        for run in ScanRun.objects.filter(
            state=ScanRun.State.RUNNING, host=socket.gethostname(), cancel_requested=False
        ):
            scans.cancel(run)
        deep_validation.interrupt()
        load_tests.interrupt()
    except DatabaseError as error:
        # They are asked again in a moment, and killed when their time is up: no fault of the database keeps anything running.
        logger.warning("workers cannot be told to stop what they do: %s", error)


def _stop(
    children: list[subprocess.Popen[bytes]], grace: float, meanwhile: Callable[[], object]
) -> None:
    """Asks the children to end, calls ``meanwhile`` a few times a second until they have, and kills those that have not after ``grace``."""
    for child in children:
        if child.poll() is None:
            child.terminate()
    deadline = time.monotonic() + grace
    while any(child.poll() is None for child in children) and time.monotonic() < deadline:
        meanwhile()
        time.sleep(0.1)
    for child in children:
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        else:
            _sweep(child.pid)


def _sweep(group: int) -> None:
    """Ends what is left of a child's process group after the child itself is gone."""
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
