"""``modules.json`` of sentence-transformers: the folders of its modules.

Source: ``SentenceTransformer._load_sbert_model`` and ``models/Router.py`` of
https://github.com/UKPLab/sentence-transformers
"""

from __future__ import annotations

import posixpath
from typing import Any, NamedTuple

NAME = "modules.json"
#: Where a router, one of the modules, keeps the folders of its own.
ROUTER = "router_config.json"

MAX_BYTES = 1 << 16
MAX_MODULES = 200

#: Modules that save nothing: repositories lose their empty folders.
_WITHOUT_FILES = frozenset({"Normalize"})


class Module(NamedTuple):
    """``path`` is relative to the model's folder, empty for the folder itself."""

    path: str
    type: str

    @property
    def is_saved(self) -> bool:
        """Whether the library cannot load the module without a file in its folder."""
        kind = self.type.rpartition(".")[2]
        return (
            bool(self.path)
            and self.type.startswith("sentence_transformers.")
            and kind not in _WITHOUT_FILES
        )


def read(data: Any) -> list[Module]:
    """The modules that ``modules.json`` or a router's config names; none where it is something
    else, and none outside the folder.
    """
    if isinstance(data, dict):
        types = data.get("types")
        pairs = list(types.items()) if isinstance(types, dict) else []
    elif isinstance(data, list):
        pairs = [(item.get("path"), item.get("type")) for item in data if isinstance(item, dict)]
    else:
        pairs = []
    found = [
        Module(_plain(path), kind if isinstance(kind, str) else "")
        for path, kind in pairs[:MAX_MODULES]
        if isinstance(path, str)
    ]
    return [each for each in found if ".." not in each.path.split("/") and "\\" not in each.path]


def _plain(path: str) -> str:
    normal = posixpath.normpath(path.strip("/")) if path.strip("/") else "."
    return "" if normal == "." else normal
