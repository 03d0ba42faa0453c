"""``adapter_config.json`` of PEFT and of MLX: what the adapter is and what it belongs to.

Source of MLX's: ``mlx_lm/lora.py`` of https://github.com/ml-explore/mlx-lm.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from discovery.engine.core.text import clean, positive


def fields(config: Mapping[str, Any]) -> dict[str, Any]:
    """``base_model`` and its relation, plus ``custom`` facts of the method (``peft_type``, rank,
    target modules).
    """
    found: dict[str, Any] = {"base_model_relation": "adapter"}
    if base := base_model(config):
        found["base_model"] = base
    method = {
        key: clean(config[key], 80)
        for key in ("peft_type", "task_type", "fine_tune_type")
        if isinstance(config.get(key), str)
    }
    of_mlx = config.get("lora_parameters")
    rank = positive(config.get("r"))
    rank = rank or (positive(of_mlx.get("rank")) if isinstance(of_mlx, dict) else None)
    if method or rank:
        found["custom"] = {**method, **({"rank": rank} if rank else {})}
    return found


def base_model(config: Mapping[str, Any]) -> str | None:
    """The model that the adapter was trained for."""
    key = "model" if "fine_tune_type" in config else "base_model_name_or_path"
    base = config.get(key)
    return (clean(base, 300) or None) if isinstance(base, str) else None
