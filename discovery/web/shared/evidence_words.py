"""Why a verdict was reached, as people say it."""

from __future__ import annotations

from collections.abc import Sequence

from discovery.engine.core.text import listed

#: Where a word stands → how that is said.
PLACES = {
    "name": "the name", "tags": "the tags", "base model": "the base model’s name",
    "title": "the card’s title", "folder": "the folder’s name",
    "description": "the description", "card": "the card",
}  # fmt: skip

#: Facts of structure that rules may ask for.
SIGNALS = {
    "chat_template": "a chat template", "tools": "a chat template with tools",
    "sentence_transformers": "a Sentence Transformers pipeline",
    "pooling": "a pooling layer", "diffusers": "a Diffusers pipeline",
    "tensors:diffusion": "tensors of a diffusion model",
    "lora": "a LoRA adapter", "tokenizer": "a tokenizer", "text_conditioned": "text conditioning",
    "tensors:text": "tensors of a text model",
    "tensors:image": "tensors of an image model", "tensors:audio": "tensors of an audio model",
    "processor:image": "an image processor",
    "processor:audio": "an audio processor",
}  # fmt: skip


def signal(name: str) -> str:
    """Return a signal in words: ``library:setfit`` becomes ``the library setfit``.

    A signal without words of its own stays unchanged.
    """
    kind, _, rest = name.partition(":")
    named = {
        "library": "the library",
        "component": "the component",
        "config": "the config section",
        "key": "the config key",
        "task": "the task",
    }
    return SIGNALS.get(name) or (f"{named[kind]} {rest}" if kind in named and rest else name)


def flow(inputs: Sequence[str], outputs: Sequence[str]) -> str:
    """``text, image → text``; what gives neither text, pictures nor sound gives numbers."""
    if not inputs and not outputs:
        return ""
    return (
        f"{', '.join(inputs).lower() or '–'} → {', '.join(outputs).lower() or 'vectors or labels'}"
    )


def evidence(rule: str, matched: str, where: str) -> str:
    """Describe one piece of evidence.

    Examples are ``“chat” in the name``, ``class name LlamaForCausalLM`` and ``takes text, gives
    text``.
    """
    kind = rule.partition(" ")[0]
    if kind == "keywords":
        return f"“{matched}” in {PLACES.get(where, where)}"
    if kind == "tags":
        return f"tag “{matched}”"
    if kind == "signals":
        return signal(matched)
    if kind == "modalities":
        takes, _, gives = matched.partition(" → ")
        parts = [] if takes in ("", "–") else [f"takes {listed(takes.split(', '))}"]
        return ", ".join([*parts, *([f"gives {listed(gives.split(', '))}"] if gives else [])])
    named = {
        "architectures": "class name",
        "model_types": "model type",
        "pipeline_tags": "pipeline_tag",
        "file_patterns": "file",
    }
    return f"{named[kind]} {matched}" if kind in named else matched
