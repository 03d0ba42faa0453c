"""Reading a folder as ``inspect_model`` does."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from discovery.engine.core.config import Discovery
from discovery.engine.core.errors import NotAModel
from discovery.engine.core.types import Candidate, Found
from discovery.engine.disk.walk import walk
from discovery.engine.identify.identify import identify


@pytest.fixture
def read() -> Callable[..., dict[str, Found]]:
    """``read(root)`` → {path: Found} of every model under it; keyword arguments are discovery
    settings.
    """

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
