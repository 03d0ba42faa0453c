"""Where plugins are found, and which files are not loaded."""

from __future__ import annotations

import os
import sys
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.checks import run_checks

from discovery.models import Plugin
from discovery.services.plugins import catalogue, sources
from tests.support.plugin_files import write_plugin

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(sys.platform == "win32", reason="modes and owners are POSIX's"),
]


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_a_file_that_others_may_change_is_not_loaded(plugins_dir: Path, mode: int) -> None:
    write_plugin(plugins_dir, "open", "").chmod(mode)
    catalogue.refresh()
    row = Plugin.objects.get()
    assert "other users may change it. Run chmod go-w on it" in row.load_error
    assert row.class_name == ""
    assert any("chmod go-w" in str(each) for each in run_checks())


def test_a_folder_that_others_may_write_to_is_not_loaded_from(plugins_dir: Path) -> None:
    write_plugin(plugins_dir, "open", "")
    plugins_dir.chmod(0o777)
    assert [f"{plugins_dir} is not loaded" in told for told in sources.faults()] == [True]


def test_a_file_of_another_user_is_not_loaded(
    plugins_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_plugin(plugins_dir, "foreign", "")
    stat = Path.stat

    def foreign(self: Path, **named: Any) -> Any:
        told = stat(self, **named)
        if self != path:
            return told
        return os.stat_result((*told[:4], os.geteuid() + 1, *told[5:10]))

    monkeypatch.setattr(Path, "stat", foreign)
    assert "it belongs to another user" in sources.faults()[0]


def test_once_its_modes_are_right_it_is_loaded(plugins_dir: Path) -> None:
    path = write_plugin(plugins_dir, "open", "")
    path.chmod(0o666)
    catalogue.refresh()
    path.chmod(0o644)
    catalogue.refresh()
    row = Plugin.objects.get()
    assert (row.key, row.load_error, row.format) == ("open.Sample", "", "sample")


def test_helpers_tests_and_packages(plugins_dir: Path) -> None:
    write_plugin(plugins_dir, "_helper", "")
    write_plugin(plugins_dir, "test_thing", "")
    write_plugin(plugins_dir / "whole", "__init__", "")
    assert [each.module for each in sources.find()] == ["whole"]
    catalogue.refresh()
    assert Plugin.objects.get().key == "whole.Sample"


def test_by_dotted_path_and_by_entry_point(
    plugins_dir: Path,
    tmp_path: Path,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write_plugin(tmp_path / "elsewhere", "shelf", "version = '2'\nlabel = 'From the config'")
    write_plugin(tmp_path / "elsewhere", "packaged", "label = 'From a package'")
    monkeypatch.syspath_prepend(tmp_path / "elsewhere")
    settings.CONFIG_DIR = tmp_path
    (tmp_path / "model_discovery.json").write_text('{"discovery": {"plugins": ["shelf.Sample"]}}')
    point = metadata.EntryPoint("packaged", "packaged:Sample", sources.GROUP)
    monkeypatch.setattr(sources, "metadata", SimpleNamespace(entry_points=lambda **_: [point]))
    catalogue.refresh()
    rows = Plugin.objects.values_list("key", "source", "label", "version", "load_error")
    assert list(rows) == [
        ("shelf.Sample", "config", "From the config", "2", ""),
        ("packaged.Sample", "entry point", "From a package", "", ""),
    ]


def test_a_dotted_path_that_leads_nowhere_is_told(settings: Any, tmp_path: Path) -> None:
    settings.CONFIG_DIR = tmp_path
    (tmp_path / "model_discovery.json").write_text('{"discovery": {"plugins": ["no.such.Thing"]}}')
    assert sources.faults() == ["The plugin no.such.Thing is not loaded: there is no module no."]


def test_what_is_no_dotted_path_is_explained(settings: Any, tmp_path: Path) -> None:
    settings.CONFIG_DIR = tmp_path
    (tmp_path / "model_discovery.json").write_text('{"discovery": {"plugins": ["../x.py"]}}')
    assert any("write the dotted path of a class" in str(each) for each in run_checks())


def test_rows_of_files_that_are_gone_go_too_unless_they_were_switched_off(
    plugins_dir: Path,
) -> None:
    for name in ("one", "two"):
        write_plugin(plugins_dir, name, f"label = '{name}'")
    catalogue.refresh()
    Plugin.objects.filter(label="two").update(enabled=False)
    for path in plugins_dir.glob("*.py"):
        path.unlink()
    catalogue.refresh()
    assert list(Plugin.objects.values_list("label", flat=True)) == ["two"]
