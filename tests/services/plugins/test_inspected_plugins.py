"""``inspect_model`` shows what plugins find, and writes nothing."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from discovery.models import Plugin
from tests.support import builders
from tests.support.plugin_files import write_plugin


def inspected(root: Path) -> tuple[Any, str, int]:
    told, said = StringIO(), StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("inspect_model", str(root), "--json", stdout=told, stderr=said)
    return json.loads(told.getvalue()), said.getvalue(), int(ended.value.code or 0)


def test_models_of_plugins_are_among_the_documents(plugins_dir: Path, models_root: Path) -> None:
    write_plugin(
        plugins_dir, "reads", "def extract_metadata(self, path):\n    return {'license': 'mit'}"
    )
    builders.transformers(models_root / "m")
    (models_root / "m/model.safetensors").unlink()
    (models_root / "m/model.custom").write_bytes(b"weights")
    (models_root / "thing.custom").write_bytes(b"weights")
    documents, _, code = inspected(models_root)
    found = {each["path"]: (each["type"], each["license"]) for each in documents}
    assert found == {"m": ("PLUGIN", "mit"), "thing.custom": ("PLUGIN", "mit")}
    assert code == 0


def test_one_that_fails_is_a_problem_and_ends_with_1(plugins_dir: Path, models_root: Path) -> None:
    write_plugin(plugins_dir, "odd", "def extract_metadata(self, path):\n    raise ValueError('x')")
    builders.transformers(models_root / "bert-base")
    (models_root / "thing.custom").write_bytes(b"weights")
    documents, _, code = inspected(models_root)
    assert [each["path"] for each in documents] == ["bert-base"]
    assert code == 1


@pytest.mark.django_db
def test_it_does_not_touch_the_database(plugins_dir: Path, models_root: Path) -> None:
    write_plugin(plugins_dir, "broken", "").write_text("def broken(:\n")
    builders.transformers(models_root / "bert-base")
    assert inspected(models_root)[2] == 0
    assert Plugin.objects.count() == 0
