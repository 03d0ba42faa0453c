"""``serve``: everything in one command.

Migrates, makes the first administrator, starts workers and web server, and stops them all.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import DatabaseError

from discovery import startup
from discovery.management import demo_registry
from discovery.management.database import migrate
from discovery.management.own_command import OwnCommand
from discovery.models import Root, ScanRun
from discovery.services import jobs, scans
from discovery.services.access import access_file
from discovery.services.core import config_files, failures, private_files
from discovery.services.core.file_lock import Held, only_one
from discovery.services.health import deep_validation
from discovery.services.jobs.supervisor import Child, Supervisor
from discovery.services.machine import reach, readiness, root_probes, workers
from karen_admin.log_files import TOLD

logger = logging.getLogger(__name__)

#: Both web server and workers must be gone this long after the signal.
GRACE_SECONDS = 7.0
DEMO_PREFIX = "karen-demo-"

#: Why a root cannot be scanned → what the terminal is told beside it.
_STATES = {
    "the folder is not there": "  (not there yet: make the folder and put models in it)",
    "it does not answer": (
        "  (it does not answer: the site starts without it, and scans leave it out until it does)"
    ),
}


class Command(OwnCommand):
    help = (
        "Migrate, create the first administrator, start workers and web server. Ctrl-C stops all"
        " of it."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--host", default="127.0.0.1", help="address to listen on (default: %(default)s)"
        )
        parser.add_argument("--port", type=int, default=8000, help="(default: %(default)s)")
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
            help=(
                "some 40 small models made on the spot, in a data folder that goes when serve stops"
            ),
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        demo = _demo_folder() if options["demo"] else None
        if options["demo"] and demo is None:
            self._begin_demo()
        try:
            sys.exit(self._serve(options))
        finally:
            if demo is not None:
                shutil.rmtree(demo, ignore_errors=True)

    def _serve(self, options: dict[str, Any]) -> int:
        if fault := private_files.data_fault():
            return self._refuse(fault)
        try:
            with only_one(
                settings.DATA_DIR / "serve.lock", f"process {os.getpid()}, {_address(options)}"
            ):
                return self._serve_alone(options)
        except Held as error:
            who = f"Another serve ({error})" if str(error) else "Another serve"
            way_out = "stop it first, or give this one a folder of its own with KAREN_DATA_DIR."
            return self._refuse(f"{who} uses the data folder {settings.DATA_DIR}: {way_out}")

    def _serve_alone(self, options: dict[str, Any]) -> int:
        private_files.tighten()
        refusal = (
            _refusal(options["host"], options["port"], options["models"])
            or readiness.newer_database()
            or workers.broker_fault()
        )
        if refusal:
            return self._refuse(refusal)
        migrate()
        try:
            password = _first_administrator(lenient=options["demo"])
        except ValidationError as error:
            return self._refuse(
                f"KAREN_ADMIN_PASSWORD cannot be used: {' '.join(error.messages)} Set a better one"
                " and start again."
            )
        self._prepare(options)
        for fault in config_files.faults():
            self.stderr.write(f"{fault} — the last good version is in force.")
        log_fault = private_files.log_fault()
        for remark in filter(None, (log_fault, *private_files.open_folders())):
            self.stderr.write(remark)
        self._greet(options, password)
        env = {**os.environ, **({TOLD: "1"} if log_fault else {})}
        supervisor = Supervisor(
            _children(options), folder=str(settings.BASE_DIR), say=self.stderr.write, env=env
        )
        try:
            return supervisor.run(grace=GRACE_SECONDS, while_stopping=_end_work)
        finally:
            _reap()

    def _prepare(self, options: dict[str, Any]) -> None:
        for path in options["models"]:
            scans.add_root(path)
        for sentence in scans.sync_roots():
            self.stderr.write(sentence)
        _reap()
        if options["demo"] and not ScanRun.objects.exists():
            demo_registry.furnish(get_user_model().objects.get(username="admin"))
        access_file.follow()
        if options["no_cluster"]:
            return
        scans.sync_schedule()
        deep_validation.sync_schedule()
        if config_files.discovery().auto_refresh_on_startup:
            scans.request(ScanRun.Trigger.STARTUP)
        jobs.resume_all()
        jobs.dispatch_all()

    def _greet(self, options: dict[str, Any], password: str | None) -> None:
        self.stdout.write(f"Karen Admin is at {_address(options)}  (Ctrl-C stops it)")
        if password:
            self.stdout.write(
                f"Sign in as admin with the password {password}  (shown once; change it on the page"
                " of your account)"
            )
        for root, look in root_probes.probe_roots(Root.objects.filter(enabled=True)).items():
            self.stdout.write(
                "Models in"
                f" {root.path}{_STATES.get(look.fault, f'  ({look.fault})' if look.fault else '')}"
            )
        if (
            options["host"] not in ("127.0.0.1", "localhost", "::1")
            and "*" not in settings.ALLOWED_HOSTS
        ):
            self.stdout.write(
                f"Other machines reach it under these names: {', '.join(settings.ALLOWED_HOSTS)}"
                " (KAREN_ALLOWED_HOSTS)"
            )
        self.stdout.flush()

    def _begin_demo(self) -> NoReturn:
        """Restart with a new demo tree and data folder, which are removed when it stops."""
        from discovery.demo.tree import make_demo_tree

        folder = Path(tempfile.mkdtemp(prefix=DEMO_PREFIX))
        make_demo_tree(folder / "models")
        places = {
            "KAREN_DATA_DIR": "var",
            "KAREN_LOGS_DIR": "logs",
            "KAREN_CONFIG_DIR": "config",
            "KAREN_MODELS_DIR": "models",
        }
        env = {
            **os.environ,
            "KAREN_DEMO": str(folder),
            **{name: str(folder / path) for name, path in places.items()},
        }
        env |= {"DATABASE_URL": f"sqlite:///{folder / 'var' / 'karen.sqlite3'}", "REDIS_URL": ""}
        self.stdout.write(f"A demo in {folder}: it is removed when serve stops.")
        self.stdout.flush()
        command = [sys.executable, *sys.argv]
        if sys.platform == "win32":
            sys.exit(subprocess.call(command, env=env))
        os.umask(startup.starters_umask())
        os.execve(sys.executable, command, env)  # noqa: S606  (itself, without a shell)

    def _refuse(self, sentence: str) -> int:
        self.stderr.write(sentence)
        return 2


def _address(options: dict[str, Any]) -> str:
    shown = f"[{options['host']}]" if ":" in options["host"] else options["host"]
    return f"http://{shown}:{options['port']}/"


def _demo_folder() -> Path | None:
    """Return the folder that the demo created, which is removed at its end.

    Only a folder that was created for the demo counts.
    """
    folder = Path(os.environ.get("KAREN_DEMO") or ".")
    return (
        folder
        if folder.name.startswith(DEMO_PREFIX) and folder == settings.DATA_DIR.parent
        else None
    )


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
        return (
            f"Port {port} on {host} cannot be used ({error.strerror}): stop the other program, or"
            " choose another with --port."
        )
    missing = next((path for path in models if _is_missing(path)), None)
    return (
        f"The models folder {missing} does not exist: give one that does with --models."
        if missing
        else None
    )


def _is_missing(path: str) -> bool:
    """A share that hangs is taken for a folder: the site starts without it."""
    try:
        return not reach.elsewhere(("folder", path), Path(path).is_dir, path)
    except root_probes.RootSilent:
        return False


def _first_administrator(*, lenient: bool) -> str | None:
    """Create ``admin`` in an empty installation.

    Returns the password to show; ``None`` when one was given, or there are users already.

    Raises ``ValidationError`` for a given password that is too weak, unless ``lenient``.
    """
    users = get_user_model()
    if users.objects.exists():
        return None
    given = os.environ.get("KAREN_ADMIN_PASSWORD")
    if given and not lenient:
        validate_password(given, users(username="admin"))
    password = given or secrets.token_urlsafe(12)
    users.objects.create_superuser("admin", password=password)
    return None if given else password


def _children(options: dict[str, Any]) -> list[Child]:
    web = [
        "granian", "--interface", "wsgi", "--host", options["host"], "--port", str(options["port"]),
        "--workers", str(options["workers"]), "--blocking-threads", "4", "--backpressure", "64",
        "--no-ws", "--log-level", "warning",
        "--respawn-failed-workers", "--workers-kill-timeout", "3", "karen_admin.wsgi:application",
    ]  # fmt: skip
    cluster = Child(
        "The task cluster",
        ["karen_admin.command_line", "qcluster", "--verbosity", "0", "--skip-checks"],
    )
    return [Child("The web server", web, vital=True), *([] if options["no_cluster"] else [cluster])]


def _reap() -> None:
    """Nothing is left marked running that no process runs any more."""
    with _database_may_fail("what was running cannot be marked as interrupted"):
        jobs.reap_all()


def _end_work(pids: set[int]) -> None:
    """Tell these processes to stop their work.

    Each job stops within a second and continues after the next start.
    """
    # They are asked again in a moment, and killed when their time is up: no fault of the database
    # keeps anything running.
    with _database_may_fail("workers cannot be told to stop what they do"):
        jobs.interrupt_here(pids)


@contextmanager
def _database_may_fail(what: str) -> Iterator[None]:
    try:
        yield
    except DatabaseError as error:
        logger.warning("%s: %s", what, failures.explain(error) or error)
