"""The description of a model in its folder: its configs, each read once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from discovery.engine.core.vocabulary import ModelType, Severity
from discovery.engine.disk.folder import ModelFolder
from discovery.engine.identify import clue_readers, parts
from discovery.engine.identify.found import Merge
from discovery.engine.identify.sidecar_fields import (
    add_card,
    add_generation_config,
    add_license,
    add_native_config,
    add_own_config,
    add_task,
    add_tokenizer,
)
from discovery.engine.sidecars import adapter, json_file, model_config
from discovery.engine.sidecars.modules import Module
from discovery.engine.untrusted import remote_code


@dataclass(frozen=True, slots=True)
class Description:
    """The files that describe a model.

    ``pipeline``, ``adapter`` and ``config`` are ``model_index.json``, ``adapter_config.json`` and
    the config called ``config_name``; ``None`` where the file is missing or unreadable.

    ``modules`` are those of ``modules.json``, ``core`` is the folder of the one that holds the
    model. ``is_alone``: the folder around the files is not asked for a config.
    """

    pipeline: dict[str, Any] | None
    adapter: dict[str, Any] | None
    config: dict[str, Any] | None
    config_name: str
    modules: Sequence[Module]
    core: ModelFolder
    is_alone: bool

    @property
    def is_of_a_model(self) -> bool:
        return (
            self.pipeline is not None
            or bool(self.modules)
            or self.adapter is not None
            or (self.config is not None and model_config.looks_like_model(self.config))
        )


def read(folder: ModelFolder, *, is_alone: bool) -> Description:
    """What is broken becomes a problem of the folder."""
    is_pipeline = "model_index.json" in folder
    pipeline = folder.json("model_index.json", Severity.ERROR) if is_pipeline else None
    modules = parts.modules_of(folder)
    core = parts.module_home(folder, modules)
    name = parts.config_name(folder, core)
    asks = pipeline is None
    config = folder.json(name, Severity.ERROR) if asks and not is_alone else None
    config = model_config.unwrapped(config) if config is not None else None
    adapter_config = folder.json("adapter_config.json", Severity.ERROR) if asks else None
    return Description(pipeline, adapter_config, config, name, modules, core, is_alone)


def add_configs(merge: Merge, folder: ModelFolder, told: Description) -> None:
    """Add the config that represents the model."""
    if told.pipeline is not None:
        clue_readers.read_pipeline(merge.clues, told.pipeline)
        remote_code.note_pipeline(folder, told.pipeline)
        named = {"_class_name": told.pipeline.get("_class_name")}
        merge.add("model_index.json", model_config.fields(named))
    elif told.adapter is not None:
        clue_readers.read_adapter(merge.clues, told.adapter)
        merge.add("adapter_config.json", adapter.fields(told.adapter))
    elif told.config is not None:
        add_own_config(merge, folder, told.config_name, told.config)
    elif not told.is_alone:
        add_native_config(merge, folder)


def add_sidecars(
    merge: Merge, folder: ModelFolder, told: Description, kind: ModelType, *, is_home: bool
) -> None:
    """Tokenizer, card, license and code. ``is_home``: the folder is the model's own."""
    if told.pipeline is None and told.adapter is None:
        add_tokenizer(merge, folder)
        if told.core is not folder:
            add_tokenizer(merge, told.core)
            folder.problems += told.core.problems
    elif told.adapter is not None:
        clue_readers.read_sidecars(merge.clues, folder, folder.json("tokenizer_config.json"))
    add_generation_config(merge, folder)
    if is_home:
        add_task(merge, folder)
    add_card(merge, folder)
    add_license(merge, folder, home=is_home)
    if kind is ModelType.SENTENCE_TRANSFORMERS:
        remote_code.note_modules(
            folder, json_file.parse(folder.read("modules.json", 65_536) or b"[]").data
        )
    remote_code.note_configs(folder)
    remote_code.note_files(folder)
