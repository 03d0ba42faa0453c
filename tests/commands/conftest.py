"""An installation of its own for programs that run beside the tests."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    places = {
        "KAREN_DATA_DIR": "data",
        "KAREN_LOGS_DIR": "logs",
        "KAREN_CONFIG_DIR": "config",
        "KAREN_MODELS_DIR": "models",
    }
    found = {
        **os.environ,
        **{name: str(tmp_path / place) for name, place in places.items()},
        "DJANGO_SETTINGS_MODULE": "karen_admin.settings",
    }
    for name in ("DATABASE_URL", "REDIS_URL", "KAREN_ADMIN_PASSWORD", "KAREN_SECRET_KEY"):
        found.pop(name, None)
    return found


@pytest.fixture
def installed(env: dict[str, str], tmp_path: Path, migrated: Path) -> dict[str, str]:
    """``env`` of an installation that is migrated already."""
    (tmp_path / "data").mkdir(mode=0o700)
    shutil.copy(migrated, tmp_path / "data" / "karen.sqlite3")
    return env
