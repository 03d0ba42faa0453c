"""The files beside the weights, merged in their order. Each reads one file of a folder, says what is wrong with it, and goes on."""

from __future__ import annotations

from typing import Any

from discovery.engine import clue_readers, remote_code
from discovery.engine.folder import Folder
from discovery.engine.found import Merge
from discovery.engine.sidecars import card, metadata_json, model_config, tokenizer
from discovery.engine.text import plural, positive
from discovery.engine.types import Severity


def add_metadata_json(merge: Merge, folder: Folder) -> None:
    data = folder.json("metadata.json")
    if data is None:
        return
    fields, complaints = metadata_json.fields(data)
    for complaint in complaints:
        folder.complain(
            "metadata_invalid",
            "metadata.json",
            f"metadata.json: {complaint}; it is ignored",
            Severity.WARNING,
        )
    merge.add("metadata.json", fields)


def add_config(merge: Merge, folder: Folder, name: str, config: dict[str, Any]) -> None:
    odd = model_config.odd_fields(config)
    if odd:
        text = f"{name}: {', '.join(odd[:8])} {'has a value' if len(odd) == 1 else 'have values'} that no loader accepts"
        folder.complain("config_wrong_type", name, text, Severity.WARNING)
    merge.add(name, model_config.fields(config))
    merge.clues.config(config, name)
    remote_code.note_config(folder, name, config)
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


def add_tokenizer(merge: Merge, folder: Folder) -> None:
    """``tokenizer.json`` is opened only while nothing else has told the vocabulary size."""
    for name in ("sentence_bert_config.json",):
        if (config := folder.json(name)) and (length := positive(config.get("max_seq_length"))):
            merge.add(name, {"context_length": length})
    config = folder.json("tokenizer_config.json")
    if config:
        merge.add("tokenizer_config.json", tokenizer.fields(config))
        remote_code.note_config(folder, "tokenizer_config.json", config)
    clue_readers.read_sidecars(merge.clues, folder, config)
    if "vocab_size" not in merge.values and (
        raw := folder.read("tokenizer.json", tokenizer.MAX_BYTES + 1)
    ):
        merge.add("tokenizer.json", {"vocab_size": tokenizer.vocabulary_size(raw)})


def add_generation_config(merge: Merge, folder: Folder) -> None:
    if config := folder.json("generation_config.json"):
        wanted = ("temperature", "top_p", "top_k", "repetition_penalty", "max_new_tokens")
        settings = {
            key: config[key]
            for key in wanted
            if isinstance(config.get(key), int | float) and not isinstance(config[key], bool)
        }
        merge.add("generation_config.json", {"optimization_settings": settings})


def add_card(merge: Merge, folder: Folder) -> None:
    raw = folder.read("README.md", card.MAX_BYTES + 1)
    if raw is None:
        return
    parsed = card.read(raw[: card.MAX_BYTES], truncated=len(raw) > card.MAX_BYTES)
    for fault in parsed.faults[:5]:
        folder.complain("card_invalid", "README.md", f"README.md: {fault}", Severity.WARNING)
    if len(parsed.faults) > 5:
        rest = plural(len(parsed.faults) - 5, "more fault")
        folder.complain("card_invalid", "README.md", f"README.md: {rest}", Severity.WARNING)
    merge.add("README.md", parsed.fields)
    merge.clues.card(parsed.front, parsed.title, card.prose(raw))
