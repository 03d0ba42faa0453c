"""The existing folders in which other programs keep models on this machine, with their contents."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from discovery.engine.core.config import Discovery
from discovery.engine.core.paths import is_under, to_text
from discovery.engine.core.types import Candidate
from discovery.engine.disk.walk import walk
from discovery.models import Root
from discovery.services.core import config_files
from discovery.services.machine import reach, root_probes

#: Seconds that one store is looked through; what was found until then is shown as a lower bound.
SECONDS = 3.0

#: Program → the variables of the environment that name its folder, each with what lies below it,
#: then where it is without them; ``~`` is the home of whoever runs the server.
PLACES: dict[str, tuple[tuple[str, str], ...]] = {
    "Hugging Face Hub": (
        ("$HF_HUB_CACHE", ""),
        ("$HF_HOME", "hub"),
        ("~/.cache/huggingface", "hub"),
    ),
    "Ollama": (
        ("$OLLAMA_MODELS", ""),
        ("~/.ollama", "models"),
        ("/usr/share/ollama/.ollama", "models"),
    ),
    "LM Studio": (("~/.lmstudio", "models"), ("~/.cache/lm-studio", "models")),
    "ComfyUI": (
        ("$COMFYUI_PATH", "models"),
        ("~/ComfyUI", "models"),
        ("~/comfy/ComfyUI", "models"),
    ),
    "InvokeAI": (("$INVOKEAI_ROOT", "models"), ("~/invokeai", "models")),
    "GPT4All": (
        ("~/.local/share/nomic.ai", "GPT4All"),
        ("~/Library/Application Support/nomic.ai", "GPT4All"),
    ),
    "Jan": (
        ("$JAN_DATA_FOLDER", ""),
        ("~/.local/share/Jan", "data"),
        ("~/.config/Jan", "data"),
        ("~/jan", "models"),
    ),
    "text-generation-webui": (
        ("~/text-generation-webui/user_data", "models"),
        ("~/text-generation-webui", "models"),
    ),
}


@dataclass(frozen=True, slots=True)
class Store:
    """A folder in which another program keeps models.

    ``is_whole`` is false where there was no time to walk all of it; ``root`` is the path of the
    root that scans it already.
    """

    program: str
    path: str
    models: int
    size: int
    is_whole: bool
    root: str = ""


def found() -> list[Store]:
    """Return the stores that exist and answer, all walked at the same time."""
    roots = list(Root.objects.exclude(path=Root.REMOTE).filter(enabled=True))
    places = reach.places(roots)
    stores = []
    seen: set[str] = set()
    for program, path in _candidates():
        try:
            look = partial(_counted, path, config_files.discovery())
            real, models, size, is_whole = reach.elsewhere(
                ("store", path), look, path, longest=SECONDS + 1
            )
        except (root_probes.RootSilent, OSError):
            continue
        if not real or real in seen:
            continue
        seen.add(real)
        root = next((root.path for root, place in places.items() if is_under(real, place)), "")
        stores.append(Store(program, to_text(path), models, size, is_whole, root))
    return stores


def _candidates() -> Iterator[tuple[str, str]]:
    for program, places in PLACES.items():
        for base, below in places:
            given = os.environ.get(base[1:], "") if base.startswith("$") else base
            if given:
                yield program, str(Path(given).expanduser() / below)


def _counted(path: str, settings: Discovery) -> tuple[str, int, int, bool]:
    """Return (the real folder, its models, their bytes, whether the walk was complete).

    The folder name is empty where there is no folder.
    """
    if not os.path.isdir(path):
        return "", 0, 0, True
    until, models, files = time.monotonic() + SECONDS, 0, dict[str, int]()
    for item in walk(path, settings):
        if isinstance(item, Candidate):
            models += 1
            files |= {file.path: file.size for file in (*item.files, *item.shared)}
        if time.monotonic() > until:
            return os.path.realpath(path), models, sum(files.values()), False
    return os.path.realpath(path), models, sum(files.values()), True
