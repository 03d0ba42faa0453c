"""Plugin files for tests: the guide's sample and plugins that misbehave."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from discovery.loading import plugin_host
from discovery.services.plugins import catalogue

#: Chapter "Custom Discovery Plugins" of the guide, with only its import line changed.
GUIDE = """\
# plugins/custom_model_discovery.py
from discovery.plugins import List, Modality, ModelDiscoveryPlugin, ModelMetadata

class CustomModelDiscoveryPlugin(ModelDiscoveryPlugin):
    def can_handle(self, path: str) -> bool:
        return path.endswith('.custom')
    
    def extract_metadata(self, path: str) -> ModelMetadata:
        # Custom metadata extraction logic
        pass
    
    def detect_modalities(self, path: str) -> List[Modality]:
        # Custom modality detection
        pass
"""  # noqa: W293

HEAD = "from discovery.plugins import List, Modality, ModelDiscoveryPlugin, ModelMetadata\n"


def write_plugin(folder: Path, name: str, body: str) -> Path:
    """A class ``Sample`` whose methods are ``body``, over one that takes ``.custom`` files."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    path = folder / f"{name}.py"
    base = "    def can_handle(self, path):\n        return path.endswith('.custom')\n"
    methods = dedent(body).strip("\n")
    indented = "".join(f"    {line}\n" for line in methods.splitlines())
    path.write_text(f"{HEAD}\n\nclass Sample(ModelDiscoveryPlugin):\n{base}{indented}")
    path.chmod(0o644)
    return path


@pytest.fixture
def plugins_dir(tmp_path: Path, settings: Any) -> Path:
    folder = tmp_path / "plugins"
    folder.mkdir(mode=0o755)
    settings.PLUGINS_DIR = folder
    return folder


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What hangs is ended after a moment."""
    monkeypatch.setattr(plugin_host, "SECONDS", 0.5)


@pytest.fixture(autouse=True)
def no_plugins_after() -> object:
    yield
    catalogue.forget()
