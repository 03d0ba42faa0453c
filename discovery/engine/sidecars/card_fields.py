"""What the front matter of a model card says, in the document's words.

Source: https://huggingface.co/docs/hub/model-cards. People write lists as texts, names as mappings
and several licenses where one is asked for: what can be understood is taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from discovery.engine.core.text import clean, strings

MAX_BASES = 100
#: Looked at, of which few are kept.
MAX_METRICS = 5_000

HUB = "https://huggingface.co/"


def bases(front: Mapping[str, Any]) -> list[str]:
    """``base_model`` of front matter: a name, a list of names, or mappings that hold one."""
    stated = front.get("base_model")
    found: list[str] = []
    for item in stated[:MAX_BASES] if isinstance(stated, list) else [stated]:
        found += strings(_base(item) if isinstance(item, dict) else item)
    return list(dict.fromkeys(found))


def _base(item: Mapping[str, Any]) -> str | None:
    """``{name, organization?, repo_url?}``, as llama.cpp's converters and merge tools write it."""
    texts = {key: value for key, value in item.items() if isinstance(value, str) and value}
    url = texts.get("repo_url", "")
    if url.startswith(HUB):
        return clean(url.removeprefix(HUB).strip("/"), 200)
    name = next((texts[key] for key in ("id", "model", "name", "base_model") if key in texts), None)
    owner = texts.get("organization")
    return f"{owner}/{name}" if owner and name and "/" not in name else name


def fields(front: dict[str, Any], faults: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    license_name = _license(front, faults)
    if license_name:
        found["license"] = license_name
    for key, name in (
        ("language", "language_support"),
        ("languages", "language_support"),
        ("tags", "tags"),
    ):
        value = front.get(key)
        if value and not isinstance(value, str | list):
            faults.append(f"{key} in the front matter must be a text or a list")
        elif items := [item for item in _listed(value) if item.lower() != "null"]:
            found[name] = items
    if named := bases(front):
        found["base_model"] = named[0]
    base = front.get("base_model")
    if isinstance(base, list) and any(not isinstance(item, str | dict) for item in base):
        faults.append("base_model in the front matter must be a text or a list of texts")
    for key, name in (
        ("base_model_relation", "base_model_relation"),
        ("version", "version"),
        ("model_creator", "author"),
        ("author", "author"),
    ):
        if isinstance(front.get(key), str) and clean(front[key], 200):
            found[name] = clean(front[key], 200)
    if metrics := _metrics(front.get("model-index")):
        found["performance_metrics"] = metrics
    return found


def _listed(value: Any) -> list[str]:
    """A list, or a text in which commas part the items: ``en, de``."""
    items = [value] if isinstance(value, str) else value
    parts = [part for item in strings(items) for part in item.split(",")]
    return strings([part.strip() for part in parts])


def _license(front: dict[str, Any], faults: list[str]) -> str | None:
    value = front.get("license")
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        value = ", ".join(strings(value))
    if value and not isinstance(value, str):
        faults.append("license in the front matter must be a text")
        return None
    name = front.get("license_name")
    if value and value.lower() == "other" and isinstance(name, str) and name:
        value = name
    return clean(value, 200) if value and value.lower() != "null" else None


def _metrics(index: Any) -> dict[str, float]:
    """Numbers of ``model-index``, ``dataset: metric`` → value, at most twenty."""
    found: dict[str, float] = {}
    for result, metric in islice(_results(index), MAX_METRICS):
        number = _number(metric.get("value"))
        if number is not None and len(found) < 20:
            dataset = result.get("dataset")
            dataset_name = _text(dataset.get("name"), 80) if isinstance(dataset, dict) else ""
            label = _text(metric.get("name"), 60) or _text(metric.get("type"), 60) or "score"
            found[f"{dataset_name}: {label}" if dataset_name else label] = number
    return found


def _results(index: Any) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """(result, one of its metrics), and two empty ones for what is neither: YAML's aliases can make
    a few lines endless to walk.
    """
    for model in index if isinstance(index, list) else []:
        results = model.get("results") if isinstance(model, dict) else None
        for result in results if isinstance(results, list) else ():
            metrics = result.get("metrics") if isinstance(result, dict) else None
            for metric in metrics if isinstance(metrics, list) else ():
                yield (result, metric) if isinstance(metric, dict) else ({}, {})
            yield {}, {}
        yield {}, {}


def _text(value: Any, limit: int) -> str:
    """A scalar of the front matter. Lists are not names, and expanding them may never end."""
    return clean(value, limit) if isinstance(value, str) else ""


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return round(number, 4) if abs(number) < 1e12 else None
