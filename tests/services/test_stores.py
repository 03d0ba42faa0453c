"""What other programs keep on this machine is found where they keep it."""

from __future__ import annotations

from pathlib import Path

import pytest

from discovery.models import Root
from discovery.services.settings import stores
from tests.support import builders

pytestmark = pytest.mark.django_db


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for program in stores.PLACES.values():
        for base, _below in program:
            if base.startswith("$"):
                monkeypatch.delenv(base[1:], raising=False)
    return tmp_path


def test_nothing_is_found_where_nothing_is(home: Path) -> None:
    assert [store for store in stores.found() if store.path.startswith(str(home))] == []


def test_a_store_is_told_with_its_models_and_size(home: Path) -> None:
    builders.transformers(home / ".lmstudio/models/somebody/tiny")
    (store,) = [store for store in stores.found() if store.path.startswith(str(home))]
    assert (store.program, store.models, store.is_whole, store.root) == ("LM Studio", 1, True, "")
    assert store.size > 100


def test_the_environment_of_a_program_is_believed_first(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "elsewhere").mkdir()
    monkeypatch.setenv("HF_HUB_CACHE", str(home / "elsewhere"))
    assert stores.found()[0].path == str(home / "elsewhere")


def test_a_store_that_is_scanned_already_names_its_root(home: Path) -> None:
    (home / "jan/models").mkdir(parents=True)
    Root.objects.create(path=str(home))
    (store,) = [store for store in stores.found() if store.path.startswith(str(home))]
    assert store.root == str(home)


def test_two_names_of_one_folder_are_one_store(home: Path) -> None:
    (home / ".cache/lm-studio/models").mkdir(parents=True)
    (home / ".lmstudio").mkdir()
    (home / ".lmstudio/models").symlink_to(home / ".cache/lm-studio/models")
    assert len([store for store in stores.found() if store.program == "LM Studio"]) == 1
