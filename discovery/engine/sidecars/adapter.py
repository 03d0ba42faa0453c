"""``adapter_config.json`` of PEFT: what the adapter is and what it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from discovery.engine.core.text import clean, positive


def fields(config: Mapping[str, Any]) -> dict[str, Any]:
    """``base_model`` and its relation, plus ``custom`` facts of the method (``peft_type``, rank,
    target modules).
    """
    found: dict[str, Any] = {"base_model_relation": "adapter"}
    base = config.get("base_model_name_or_path")
    if isinstance(base, str) and clean(base):
        found["base_model"] = clean(base, 300)
    method = {
        key: clean(config[key], 80)
        for key in ("peft_type", "task_type")
        if isinstance(config.get(key), str)
    }
    rank = positive(config.get("r"))
    if method or rank:
        found["custom"] = {**method, **({"rank": rank} if rank else {})}
    return found
