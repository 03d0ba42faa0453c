"""``list_plugins`` and ``startplugin``."""

from __future__ import annotations

import json
import subprocess
import sys
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from discovery.models import Plugin, RegisteredModel, ScanRun
from discovery.services import scans
from tests.support.plugin_files import no_plugins_after as no_plugins_after
from tests.support.plugin_files import plugins_dir as plugins_dir
from tests.support.plugin_files import write_plugin

pytestmark = pytest.mark.django_db


def listed(*arguments: str) -> tuple[str, int]:
    told = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("list_plugins", *arguments, stdout=told)
    return told.getvalue(), int(ended.value.code or 0)


def test_what_is_loaded_is_listed_with_its_failures(plugins_dir: Path) -> None:
    write_plugin(plugins_dir, "good", "version = '3'\nsuffixes = ('.good',)")
    text, code = listed()
    assert code == 0
    assert "Sample · good.Sample · version 3 · on · *.good · 0 models" in text
    Plugin.objects.update(
        failures_in_a_row=1,
        failures=[{"at": "2026-11-29T12:00:00+00:00", "path": "/m/x", "reason": "It hung."}],
    )
    text, code = listed("--json")
    [row] = json.loads(text)
    assert code == 1
    assert row["failures"] == [{"at": "2026-11-29T12:00:00Z", "path": "/m/x", "reason": "It hung."}]


def test_a_file_that_cannot_be_loaded_is_named_and_the_command_ends_with_1(
    plugins_dir: Path,
) -> None:
    path = plugins_dir / "broken.py"
    path.write_text("def broken(:\n")
    path.chmod(0o644)
    text, code = listed()
    assert code == 1
    assert "Line 1 has a syntax error" in text


def test_without_plugins_it_says_so(plugins_dir: Path) -> None:
    assert listed() == ("There are no plugins. Write one with startplugin NAME.\n", 0)
    assert json.loads(listed("--json")[0]) == []


def test_a_new_plugin_has_a_test_that_passes_and_is_loaded(
    plugins_dir: Path, models_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = StringIO()
    call_command("startplugin", "tensor_pack", stdout=told)
    test = plugins_dir / "test_tensor_pack.py"
    assert str(test) in told.getvalue()
    done = subprocess.run(
        [sys.executable, str(test)], cwd=plugins_dir, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "Ran 3 tests" in done.stderr
    (models_root / "small.tensor-pack").write_bytes(b'{"license": "mit", "parameters": 7}\n1')
    run, _ = scans.start_now(ScanRun.Trigger.COMMAND, path=str(models_root))
    scans.execute(run)
    record = RegisteredModel.objects.get()
    assert (record.type, record.license, record.parameter_count) == ("PLUGIN", "mit", 7)


@pytest.mark.parametrize("name", ["Bad", "1x", "with-dash", "class", "json", "test_x", "../x", ""])
def test_names_that_are_none(name: str, plugins_dir: Path) -> None:
    with pytest.raises(CommandError) as error:
        call_command("startplugin", name)
    assert error.value.returncode == 2
    assert list(plugins_dir.iterdir()) == []


def test_nothing_is_replaced(plugins_dir: Path) -> None:
    call_command("startplugin", "tensor_pack", stdout=StringIO())
    (plugins_dir / "tensor_pack.py").write_text("mine")
    with pytest.raises(CommandError, match="exists already"):
        call_command("startplugin", "tensor_pack")
    assert (plugins_dir / "tensor_pack.py").read_text() == "mine"
