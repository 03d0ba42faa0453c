"""Where a remote model would lie in the recommended layout, by what its registry says of it."""

from __future__ import annotations

import re
from typing import Any

from discovery.engine.classify.categorize import Categorizer
from discovery.engine.classify.describe import decide
from discovery.engine.classify.modality import detect
from discovery.engine.classify.signals import SignalCollector
from discovery.engine.core.completeness import naming, suggested_folder
from discovery.engine.core.text import clean
from discovery.engine.sidecars import json_file
from discovery.services.core import config_files
from discovery.services.registries.protocol import Registry, RegistryError, RemoteModel

#: Bytes of a config that are read.
MAX_CONFIG = 1 << 20


def folder(model: RemoteModel, registry: Registry) -> str:
    """``language/chat/llama-2-7b-chat``; relative to a root."""
    wanted = suggested_folder(*_categories(model, _config(model, registry)))
    name = name_of(model.remote_id)
    return f"{wanted}/{name}" if wanted else name


def name_of(remote_id: str) -> str:
    """The last part, as the guide writes names: lowercase with hyphens."""
    own = re.sub(r"[^\w.-]+", "-", remote_id.rstrip("/").rpartition("/")[2]).strip("-.") or "model"
    advice = naming(own)
    return (advice.better if advice else None) or own


def _categories(
    model: RemoteModel, config: dict[str, Any]
) -> tuple[str | None, str | None, str | None]:
    clues = SignalCollector()
    front = {
        "pipeline_tag": model.task,
        "tags": list(model.tags),
        "library_name": model.library or None,
        "base_model": model.base_model or None,
    }
    clues.card(front, None, "")
    if config:
        clues.config(config, "config.json")
    paths = [clean(file.path, 1_000) for file in model.files or ()]
    name = clean(model.remote_id.rpartition("/")[2], 300)
    signals = clues.finish(name, "", model.description, None, paths)
    seen = detect(signals)
    decided, _ = decide(
        signals,
        seen.ordered(seen.inputs),
        seen.ordered(seen.outputs),
        Categorizer(config_files.rules()),
    )
    return decided.get("primary"), decided.get("secondary"), decided.get("specialization")


def _config(model: RemoteModel, registry: Registry) -> dict[str, Any]:
    """Its ``config.json``, where it is needed: one request."""
    found = next((file for file in model.files or () if file.path == "config.json"), None)
    if found is None or not found.size or found.size > MAX_CONFIG:
        return {}
    raw = bytearray()
    try:
        with registry.open(model, found) as stream:
            for chunk in stream.chunks:
                raw += chunk
                if len(raw) > MAX_CONFIG:
                    return {}
    except RegistryError:
        return {}  # a gated model has a category all the same
    data = json_file.parse(bytes(raw)).data
    return data if isinstance(data, dict) else {}
