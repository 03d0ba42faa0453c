"""Reading a folder as ``inspect_model`` does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from discovery.engine.config import Discovery
from discovery.engine.errors import NotAModel
from discovery.engine.identify import identify
from discovery.engine.types import Candidate, Found
from discovery.engine.walk import walk


@pytest.fixture
def read() -> Callable[..., dict[str, Found]]:
    """``read(root)`` → {path: Found} of every model under it; keyword arguments are discovery settings."""

    def reading(
        root: Path, memory_bytes: int | None = None, **settings: object
    ) -> dict[str, Found]:
        chosen = Discovery(**settings)  # type: ignore[arg-type]
        models: dict[str, Found] = {}
        for item in walk(str(root), chosen):
            if isinstance(item, Candidate):
                try:
                    models |= {
                        found.path: found
                        for found in identify(str(root), item, chosen, memory_bytes)
                    }
                except NotAModel:
                    continue
        return models

    return reading
