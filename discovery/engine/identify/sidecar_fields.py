"""Merges the files next to the weights, in a fixed order.

Each function reads one file of a folder, reports its problems, and continues.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from discovery.engine.classify.signals import ConfigClues, clues_of
from discovery.engine.classify.task_tags import TASKS
from discovery.engine.core import model_names
from discovery.engine.core.packings import Declared
from discovery.engine.core.text import plural, positive
from discovery.engine.core.vocabulary import Severity
from discovery.engine.disk.folder import SMALL_BYTES, ModelFolder
from discovery.engine.identify import clue_readers, package_license
from discovery.engine.identify.found import Merge
from discovery.engine.sidecars import (
    card,
    json_file,
    license_file,
    metadata_json,
    model_config,
    modelscope,
    native_config,
    quantization,
    tokenizer,
)

#: ``sentence_bert_config.json`` and its sisters, beside the modules or in the first one's folder.
_EMBEDDER = re.compile(r"^(?:0_\w+/)?sentence_[a-z-]+_config\.json$")


def add_metadata_json(merge: Merge, folder: ModelFolder) -> None:
    raw = folder.read(metadata_json.NAME, json_file.MAX_BYTES + 1)
    if raw is None or isinstance(json_file.parse(raw).data, list):
        return  # Core ML writes a list
    data = folder.json(metadata_json.NAME)
    if data is None or not metadata_json.is_ours(data):
        return
    fields, complaints = metadata_json.fields(data)
    for complaint in complaints:
        folder.complain(
            "metadata_invalid",
            "metadata.json",
            f"metadata.json: {complaint}; it is ignored",
            Severity.WARNING,
        )
    merge.add(metadata_json.NAME, fields)


@dataclass(frozen=True, slots=True)
class _Config:
    """The content of a config, wherever it is: ``odd`` are fields with values that no loader
    accepts.
    """

    odd: Sequence[str]
    fields: Mapping[str, Any]
    clues: ConfigClues


def _interpreted(config: Mapping[str, Any]) -> _Config:
    return _Config(model_config.odd_fields(config), model_config.fields(config), clues_of(config))


@lru_cache(maxsize=128)
def _remembered(raw: bytes) -> _Config | None:
    """The parsed config; ``None`` if it is not an object.

    Thousands of fine-tunes share one config, and parsing its layers again took a fifth of the time
    to read a model.
    """
    config = json_file.parse_object(raw).data
    return _interpreted(model_config.unwrapped(config)) if isinstance(config, dict) else None


def add_config(merge: Merge, folder: ModelFolder, name: str, config: dict[str, Any]) -> None:
    """Add a config that was translated from the file ``name``, or is in another folder."""
    _add(merge, folder, name, config, _interpreted(config))


def add_own_config(merge: Merge, folder: ModelFolder, name: str, config: dict[str, Any]) -> None:
    """Add the config in the file ``name`` of the folder."""
    is_small = folder.entries[name].size <= SMALL_BYTES
    raw = folder.read(name, SMALL_BYTES) if is_small else None
    known = _remembered(raw) if raw else None
    _add(merge, folder, name, config, known or _interpreted(config))


def _add(
    merge: Merge, folder: ModelFolder, name: str, config: dict[str, Any], told: _Config
) -> None:
    if odd := told.odd:
        text = (
            f"{name}: {', '.join(odd[:8])} {'has a value' if len(odd) == 1 else 'have values'} that"
            " no loader accepts"
        )
        folder.complain("config_wrong_type", name, text, Severity.WARNING)
    merge.add(name, told.fields)
    merge.clues.take(told.clues, name)
    if "_diffusers_version" in config:
        clue_readers.read_component(merge.clues, config, name)
    base = config.get("_name_or_path")
    if (
        isinstance(base, str)
        and base.count("/") == 1
        and not base.startswith((".", "/", "~"))
        and "\\" not in base
    ):
        merge.add(name, {"custom": {"trained_from": base[:200]}})


def add_native_config(merge: Merge, folder: ModelFolder) -> None:
    """Another library's config, where Transformers' is not there."""
    for name, translated in native_config.READERS.items():
        told = folder.json(name) if name in folder else None
        if told is not None and (config := translated(told)):
            add_config(merge, folder, name, config)
            return


def declared_quantization(folder: ModelFolder, config: dict[str, Any] | None) -> Declared:
    """The quantization in the config, otherwise in the separate file that some quantizers write."""
    declared = model_config.quantization(config or {})
    for name, key in quantization.FILES:
        if declared.method is None and name in folder and (data := folder.json(name)):
            declared = quantization.read(data.get(key) if key else data)
    return declared


def add_tokenizer(merge: Merge, folder: ModelFolder) -> None:
    """Add the tokenizer's fields.

    ``tokenizer.json`` is opened only if no other source has the vocabulary size.
    """
    config = folder.json("tokenizer_config.json")
    if config:
        merge.add("tokenizer_config.json", tokenizer.fields(config))
    clue_readers.read_sidecars(merge.clues, folder, config)
    if "vocab_size" not in merge.values and (
        raw := folder.read("tokenizer.json", tokenizer.MAX_BYTES + 1)
    ):
        merge.add("tokenizer.json", {"vocab_size": tokenizer.vocabulary_size(raw)})


def add_task(merge: Merge, folder: ModelFolder) -> None:
    """Adds the task that ModelScope states."""
    config = folder.json(modelscope.NAME) if modelscope.NAME in folder else None
    if merge.clues.task is None and config and (told := modelscope.task(config)) in TASKS:
        merge.clues.task = told
        merge.clues.add_feature("header_task", modelscope.NAME)


def add_embedder(merge: Merge, folder: ModelFolder) -> None:
    """Adds the length that sentence-transformers cuts texts to.

    It overrides what the encoder could take.
    """
    for name in folder.entries:
        if not _EMBEDDER.match(name):
            continue
        if (config := folder.json(name)) and (length := positive(config.get("max_seq_length"))):
            merge.add(name, {"context_length": length})
            return


def add_generation_config(merge: Merge, folder: ModelFolder) -> None:
    if config := folder.json("generation_config.json"):
        wanted = ("temperature", "top_p", "top_k", "repetition_penalty", "max_new_tokens")
        settings = {
            key: config[key]
            for key in wanted
            if isinstance(config.get(key), int | float) and not isinstance(config[key], bool)
        }
        merge.add("generation_config.json", {"optimization_settings": settings})


def card_of(folder: ModelFolder) -> str | None:
    """The name of the model card: README.md, in whatever letters."""
    return next((name for each in card.NAMES if (name := folder.named(each))), None)


def add_card(merge: Merge, folder: ModelFolder) -> None:
    name = card_of(folder)
    raw = folder.read(name, card.MAX_BYTES + 1) if name else None
    if name is None or raw is None:
        return
    parsed = card.read(raw[: card.MAX_BYTES], truncated=len(raw) > card.MAX_BYTES)
    for fault in parsed.faults[:5]:
        folder.complain("card_invalid", name, f"{name}: {fault}", Severity.WARNING)
    if len(parsed.faults) > 5:
        rest = plural(len(parsed.faults) - 5, "more fault")
        folder.complain("card_invalid", name, f"{name}: {rest}", Severity.WARNING)
    merge.add(name, parsed.fields)
    merge.clues.card(parsed.front, parsed.title, card.prose(raw))


def called(own: str, path: str, folder: ModelFolder) -> str:
    """The name of the model at ``path`` whose file or folder is called ``own``."""
    around = model_names.around(path, folder.root)
    return model_names.best(own, around, lambda: _title(folder))


def _title(folder: ModelFolder) -> str | None:
    name = card_of(folder)
    raw = folder.read(name, card.MAX_BYTES) if name else None
    return card.read(raw).title if raw else None


def add_license(merge: Merge, folder: ModelFolder, *, home: bool) -> None:
    """Adds the license from a license file or the surrounding package, if nothing else states it.

    ``home``: the folder belongs to the model.
    """
    if merge.get("license") not in (None, "other"):
        return
    for name in (
        [] if not home else license_file.best(each for each in folder.entries if "/" not in each)
    ):
        raw = folder.read(name, license_file.MAX_BYTES)
        if raw and (text := license_file.read(raw)):
            merge.drop("license")
            merge.add(name, {"license": text})
            return
    if told := package_license.above(folder.root, folder.place):
        merge.drop("license")
        merge.add(told.source, {"license": told.value})
