"""A field that one file adds to the catalogue is everywhere: pages, admin, tables, API, Compare.

The catalogue is read when the application starts, so the field is registered in a process of its
own, before Django is: by a plug-in of pytest that lies in a temporary folder.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.waiting import DEADLINE

REPOSITORY = Path(__file__).parents[2]

#: One of each kind: all that somebody writes who adds them.
MADE_UP = """
from discovery.engine.core.fields import ABILITIES, DESCRIPTION, REQUIREMENTS, register
from discovery.engine.core.fields import Expectation, Field, Kind
from discovery.engine.core.word import Word
from tests.support.waiting import DEADLINE


class Maturity(Word):
    NEW = "NEW"
    OLD = "OLD", "Well known"


class Sense(Word):
    SMELL = "SMELL"
    TASTE = "TASTE"


register(Field("birthplace", "Place of birth", group=DESCRIPTION, help="A city.", limit=20,
    summary=True, wanted=Expectation("a place of birth", "No place of birth", 128)))
register(Field("trained_on", "Trained on", Kind.LIST, DESCRIPTION, summary=True))
register(Field("training_tokens", "Training tokens", Kind.NUMBER, REQUIREMENTS))
register(Field("watts", "Watts", Kind.FRACTION, REQUIREMENTS))
register(Field("maturity", "Maturity", Kind.CHOICE, DESCRIPTION, words=tuple(Maturity)))
register(Field("senses", "Senses", Kind.WORDS, ABILITIES, words=tuple(Sense)))
register(Field("diary", "Diary", Kind.OBJECT, REQUIREMENTS))
"""


@pytest.mark.slow
def test_fields_from_a_file_are_on_every_surface(tmp_path: Path) -> None:
    (tmp_path / "made_up_fields.py").write_text(MADE_UP)
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{REPOSITORY}"}
    environment["KAREN_DATA_DIR"] = str(tmp_path / "data")
    for name in ("DATABASE_URL", "REDIS_URL", "PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER"):
        environment.pop(name, None)
    (tmp_path / "data").mkdir()
    checks = "tests/support/checks_of_a_field.py"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "made_up_fields", checks],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=5 * DEADLINE,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8_000:] + done.stderr[-2_000:]
    assert " passed" in done.stdout
    assert "failed" not in done.stdout
