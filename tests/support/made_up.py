"""A process in which the application has one thing more: a line in one module, or a file in one
package. What such a test sees is what somebody sees who adds a thing by following ``docs``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any

from tests.support.waiting import DEADLINE

ROOT = Path(__file__).resolve().parents[2]

START = """
import contextlib, io, json, sys
from tests.support.made_up import Additions
sys.meta_path.insert(0, Additions(**json.loads(sys.argv[1])))
import django
django.setup()
from django.db import connection
from django.test.utils import setup_test_environment
setup_test_environment()
import shutil
shutil.copy(sys.argv[2], connection.settings_dict["TEST"]["NAME"])
connection.creation.create_test_db(verbosity=0, serialize=False, keepdb=True)
from django.contrib.auth.models import User
from django.test import Client
admin = User.objects.create_superuser("admin")
client = Client()
client.force_login(admin)
result = {}

def command(*words):
    from django.core.management import call_command
    out = io.StringIO()
    with contextlib.suppress(SystemExit):
        call_command(*words, stdout=out)
    return out.getvalue()
"""


def run(
    script: str,
    folder: Path,
    migrated: Path,
    lines: dict[str, list[tuple[str, str]]] | None = None,
    files: dict[str, dict[str, str]] | None = None,
) -> dict[str, Any]:
    """What ``script`` put into ``result``. It has ``client``, signed in as the superuser ``admin``,
    ``command(…)``, which returns what a command prints, and an empty database: a copy of
    ``migrated``.

    ``lines`` maps a module to (what stands there once, what is put before it); ``files`` a package
    to the modules that it has besides its own.
    """
    places = {}
    for package, modules in (files or {}).items():
        places[package] = str(folder / package)
        (folder / package).mkdir()
        for name, text in modules.items():
            (folder / package / f"{name}.py").write_text(text, encoding="utf-8")
    added = json.dumps({"lines": lines or {}, "places": places})
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            f"{START}\n{script}\nprint('\\n' + json.dumps(result, default=str))",
            added,
            str(migrated),
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=DEADLINE,
        check=False,
        env={
            **{name: value for name, value in os.environ.items() if name != "DATABASE_URL"},
            "DJANGO_SETTINGS_MODULE": "tests.settings",
            "PYTHONPATH": str(ROOT),
            "TMPDIR": str(folder),
        },
    )
    assert done.returncode == 0, done.stderr[-4000:]
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


class Additions(MetaPathFinder):
    """Finds modules with what is added to them."""

    def __init__(self, lines: dict[str, list[tuple[str, str]]], places: dict[str, str]) -> None:
        self.lines, self.places = lines, places

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        if fullname not in self.lines and fullname not in self.places:
            return None
        spec = PathFinder.find_spec(fullname, path)
        assert spec is not None
        assert spec.origin is not None
        if fullname in self.lines:
            spec.loader = _Edited(fullname, spec.origin, self.lines[fullname])
        if fullname in self.places:
            assert spec.submodule_search_locations is not None
            spec.submodule_search_locations.append(self.places[fullname])
        return spec


class _Edited(SourceFileLoader):
    def __init__(self, fullname: str, path: str, lines: list[tuple[str, str]]) -> None:
        super().__init__(fullname, path)
        self.lines = lines

    def get_code(self, fullname: str) -> CodeType:
        source = Path(self.path).read_text(encoding="utf-8")
        for before, added in self.lines:
            assert source.count(before) == 1, (fullname, before, source.count(before))
            source = source.replace(before, added + before)
        return compile(source, self.path, "exec", dont_inherit=True)
