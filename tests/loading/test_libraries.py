"""Which version of a library is given files at all: torch since 2.10, whatever it says it can
do.
"""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.loading import libraries
from discovery.loading.__main__ import attempt
from discovery.loading.job import Result
from tests.loading.jobs import job
from tests.support import builders


def fake_torch(monkeypatch: pytest.MonkeyPatch, version: object, **functions: Any) -> None:
    module = ModuleType("torch")
    module.__dict__.update(functions | ({} if version is None else {"__version__": version}))
    monkeypatch.setitem(sys.modules, "torch", module)
    monkeypatch.setattr(libraries, "_metadata", lambda name: None)


@pytest.mark.parametrize(
    "version",
    [
        "2.9.1",
        "2.9.1+cu128",
        "1.13.0",
        "2.5.0.post1",
        "2.10.0a0+git1234",
        "2.10.0rc1",
        "2.10.0.dev20251101+cpu",
        "2.10rc2",
        "2",
        "0",
        "unknown",
        "",
        None,
    ],
)
def test_an_old_torch_or_one_of_no_known_version_is_refused_and_never_unpickles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str | None
) -> None:
    builders.torch_zip(tmp_path / "model.pt", [("w", "F32", (2,))])
    called: list[object] = []
    fake_torch(monkeypatch, version, load=lambda *arguments, **options: called.append(arguments))
    outcome = attempt(job(tmp_path, "model.pt", format="pytorch"))
    assert outcome.result is Result.REFUSED, outcome
    assert (
        f"torch {version} is installed here" if version else "The version of torch"
    ) in outcome.message
    assert "needs torch 2.10 or newer" in outcome.message
    assert outcome.message.endswith('pip install -e ".[torch]"')
    assert called == []


@pytest.mark.parametrize(
    "version",
    [
        "2.10.0",
        "2.10",
        "2.10.0+cpu",
        "2.10.1.post2",
        "2.11.0a0+git",
        "2.13.0.dev2",
        "3.0",
        "10.0.0",
        " 2.10.0\n",
    ],
)
def test_torch_since_2_10_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    fake_torch(monkeypatch, version)
    assert libraries.library("torch") is sys.modules["torch"]


def test_an_old_torch_is_not_even_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(libraries, "installed", lambda name: True)
    monkeypatch.setattr(libraries, "_metadata", lambda name: "2.6.0+cpu")
    monkeypatch.setattr(
        libraries, "import_module", lambda name: pytest.fail(f"{name} was imported")
    )
    with pytest.raises(libraries.LoadRefused, match=r"torch 2\.6\.0\+cpu is installed here"):
        libraries.library("torch")


def test_a_transformers_model_is_refused_beside_an_old_torch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_torch(monkeypatch, "2.4.1")
    monkeypatch.setitem(sys.modules, "transformers", ModuleType("transformers"))
    builders.transformers(tmp_path / "bert", family="bert")
    outcome = attempt(job(tmp_path, "bert/model.safetensors", type="TRANSFORMERS"))
    assert (outcome.result, "torch 2.4.1 is installed here" in outcome.message) == (
        Result.REFUSED,
        True,
    )


@given(
    major=st.integers(0, 5),
    minor=st.integers(0, 30),
    rest=st.sampled_from(["", ".0", ".7", ".0+cu130", ".1.post3"]),
)
def test_releases_are_compared_as_numbers(major: int, minor: int, rest: str) -> None:
    assert libraries._is_since(f"{major}.{minor}{rest}", (2, 10)) is ((major, minor) >= (2, 10))


@given(st.text(max_size=30))
def test_a_version_of_any_form_is_judged(found: str) -> None:
    assert libraries._is_since(found, (2, 10)) in (True, False)


def test_other_libraries_may_be_of_any_version() -> None:
    assert (
        libraries.version(libraries.library("safetensors"))
        == f"safetensors {metadata.version('safetensors')}"
    )
