"""Each module can be the first one that a program imports: no circle of imports hides behind a
lucky order.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.waiting import DEADLINE

SERVICES = Path(__file__).parents[1] / "discovery" / "services"

#: Forgets the application between imports: one process for all, and each begins anew.
SCRIPT = """
import importlib, sys, django
from tests.support.waiting import DEADLINE
django.setup()
kept = {name for name in sys.modules if not name.startswith("discovery.services")}
for name in sys.argv[1:]:
    for loaded in set(sys.modules) - kept:
        if loaded.startswith("discovery.services"):
            del sys.modules[loaded]
    importlib.import_module(name)
"""


@pytest.mark.slow
def test_every_service_can_be_imported_first() -> None:
    names = sorted(
        ".".join(path.relative_to(SERVICES.parents[1]).with_suffix("").parts)
        for path in SERVICES.rglob("*.py")
        if path.stem != "__init__"
    )
    assert len(names) > 90
    environment = {
        "DJANGO_SETTINGS_MODULE": "tests.settings",
        "PYTHONPATH": str(SERVICES.parents[1]),
        "PATH": "",
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *names],
        env=environment,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
