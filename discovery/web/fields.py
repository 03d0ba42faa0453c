"""The fields that people may set: what they are called, how they are entered, and in which order the pages show them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from discovery.engine.describe import CAPABILITIES
from discovery.engine.types import ModelType
from discovery.services.metadata import CHOICES
from discovery.services.strictness import KEY_PREFIX, MODALITIES
from discovery.templatetags.karen import word
from discovery.words import LICENSES, RELATIONS, TYPES

Kind = Literal["text", "long", "number", "choice", "list", "words", "object"]


@dataclass(frozen=True, slots=True)
class Field:
    """``choices`` are (value, how people say it): all there are for ``choice`` and ``words``, suggestions for ``text``."""

    name: str
    label: str
    kind: Kind = "text"
    help: str = ""
    choices: tuple[tuple[str, str], ...] = ()

    @property
    def is_group(self) -> bool:
        """Several controls, which a legend names in place of a label."""
        return self.kind in ("words", "object")


def _said(names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((name, word(name)) for name in names)


def _list(name: str, label: str, hint: str = "") -> Field:
    return Field(name, label, "list", hint)


def _number(name: str, label: str, hint: str = "") -> Field:
    return Field(name, label, "number", hint)


GROUPS: tuple[tuple[str, tuple[Field, ...]], ...] = (
    ("Description", (
        Field("display_name", "Display name"),
        Field("description", "Description", "long", "What it is for and what it is good at, in a few sentences."),
        Field("license", "License", "text", "An identifier such as apache-2.0, or the license’s own name.", tuple((name, "") for name in LICENSES)),
        Field("author", "Author"),
        Field("version", "Version"),
        _list("tags", "Tags"),
        _list("language_support", "Languages", "Codes such as en, de or zh."),
        _list("use_cases", "Use cases"),
        _list("specialized_domains", "Domains of use"),
    )),
    ("Category", (
        Field("primary", "Category", "choice", choices=_said(CHOICES["primary"])),
        Field("secondary", "Use", "choice", choices=_said(CHOICES["secondary"])),
        Field("specialization", "Domain", "choice", choices=_said(CHOICES["specialization"])),
    )),
    ("What it takes, gives and can do", (
        Field("modalities", "Modalities", "words", choices=_said(MODALITIES)),
        Field("input_modalities", "Input", "words", choices=_said(MODALITIES)),
        Field("output_modalities", "Output", "words", choices=_said(MODALITIES)),
        Field("capabilities", "Capabilities", "words", choices=_said(CAPABILITIES)),
    )),
    ("Requirements and performance", (
        Field("resource_requirements", "Resource requirements", "object", "Such as min_ram_gb, gpu_memory_gb or cpu_cores."),
        Field("performance_metrics", "Performance", "object", "Such as inference_speed or accuracy_score."),
        Field("optimization_settings", "Optimization settings", "object", "Such as quantization, batch_size or temperature."),
        Field("custom", "Other fields", "object", "Whatever else is worth keeping, under names of your own."),
    )),
    ("Architecture", (
        Field("type", "Runs with", "choice", choices=tuple((kind.value, TYPES[kind.value]) for kind in ModelType)),
        Field("architecture", "Architecture"),
        Field("model_family", "Family"),
        Field("base_model", "Base model", help="The model it was made from, such as mistralai/Mixtral-8x7B-v0.1."),
        Field("base_model_relation", "Relation to base", choices=tuple(RELATIONS.items())),
        Field("quantization", "Quantization"),
        _number("parameter_count", "Parameters"),
        _number("active_parameter_count", "Active parameters", "Those that each token passes through."),
        _number("context_length", "Context length", "In tokens."),
        _number("embedding_length", "Embedding length"),
        _number("layer_count", "Layers"),
        _number("vocab_size", "Vocabulary"),
    )),
)  # fmt: skip

#: Shown for hosted models alone.
HOSTING = (
    "Server",
    (
        Field("endpoint", "Endpoint", help="Base address, such as http://127.0.0.1:8080/v1."),
        Field(
            "api_key_variable",
            "Key variable",
            help=f"Name of the environment variable that holds the key; begins with {KEY_PREFIX}. The key is never stored.",
        ),
    ),
)

FIELDS = {field.name: field for _, fields in (*GROUPS, HOSTING) for field in fields}
