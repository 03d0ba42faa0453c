"""The only list of metadata fields: names, kinds, labels, and where each field appears.

Everything else follows from here: which keys ``metadata.json`` may have, the model document and its
API schema, the Metadata tab, the bulk form and Django's admin, the columns of exports and imports,
Compare, completeness, and the labels of the history.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from discovery.engine.core.service_words import KEY_PREFIX
from discovery.engine.core.text import word
from discovery.engine.core.vocabulary import (
    LICENSES,
    Capability,
    Modality,
    ModelType,
    Primary,
    Relation,
    Secondary,
    Specialization,
)
from discovery.engine.core.word import Word


class Kind(StrEnum):
    """What a field holds. ``WORDS`` and ``CHOICE`` hold words of a closed list, several or one."""

    TEXT = "text"
    LONG = "long"
    NUMBER = "number"
    FRACTION = "fraction"
    CHOICE = "choice"
    LIST = "list"
    WORDS = "words"
    OBJECT = "object"


#: Kinds with one value, which a column of the registry may hold.
SINGLE = frozenset({Kind.TEXT, Kind.LONG, Kind.NUMBER, Kind.FRACTION, Kind.CHOICE})
LISTED = frozenset({Kind.LIST, Kind.WORDS})

SEPARATORS = "commas, semicolons or line breaks"

#: Kind → how people write it, wherever they do.
HOW: Mapping[Kind, str] = {
    Kind.LIST: (
        f"Separated by {SEPARATORS}; an entry that holds one of these stands in double quotes."
    ),
}

#: Where people set fields, or see them side by side. A field may be left out of one with a reason.
Surface = Literal["bulk", "compare"]


#: What stands for an unusual name where ``Expectation`` fields have their bits.
NAMING_BIT = 64


@dataclass(frozen=True, slots=True)
class Expectation:
    """A field that every model should have.

    ``phrase`` is what a model lacks, ``filter`` what the report calls those without it. ``bit`` is
    kept by the database: a new field gets a new one, and none is used again.
    ``modality``: only models with it are asked.
    """

    phrase: str
    filter: str
    bit: int
    modality: str = ""


@dataclass(frozen=True, slots=True)
class Field:
    """One field.

    ``limit`` is the longest text in characters; ``words`` are all that a choice or a list of words
    may hold, ``suggested`` {value: what people call it} what a text often is. ``column``: the
    registry has a column of this name. ``editable``: people may set it, here and in
    ``metadata.json``; otherwise only files say it. ``known``: no model is without it.
    ``summary``: lists of the API have it. ``hosted``: only models that another server runs have it.
    ``below_zero``: an object may hold negative numbers. ``not_in`` says why a surface leaves it
    out.
    """

    name: str
    label: str
    kind: Kind = Kind.TEXT
    group: str = ""
    help: str = ""
    limit: int = 0
    words: tuple[Word, ...] = ()
    suggested: Mapping[str, str] = field(default_factory=dict)
    column: bool = False
    editable: bool = True
    known: bool = False
    summary: bool = False
    hosted: bool = False
    below_zero: bool = True
    wanted: Expectation | None = None
    not_in: Mapping[Surface, str] = field(default_factory=dict)

    def said(self, value: str) -> str:
        """What people call a value."""
        known = {**self.suggested, **{each.value: each.label for each in self.words}}
        return known.get(value) or (word(value) if self.words else value)

    @property
    def holds(self) -> str:
        """What a value is, for people who write ``metadata.json``."""
        if self.kind is Kind.CHOICE:
            return f"one of {', '.join(self.words)}"
        if self.kind is Kind.WORDS:
            return f"a list of {', '.join(self.words)}"
        if self.kind in (Kind.TEXT, Kind.LONG):
            return f"a text of at most {self.limit:,} characters"
        return _HOLDS[self.kind] + ("" if self.below_zero else " without negative numbers")


_HOLDS = {
    Kind.NUMBER: "a whole number above zero",
    Kind.FRACTION: "a number above zero",
    Kind.LIST: "a list of texts",
    Kind.OBJECT: "an object",
}


DESCRIPTION = "Description"
CATEGORY = "Category"
ABILITIES = "What it takes, gives and can do"
REQUIREMENTS = "Requirements and performance"
ARCHITECTURE = "Architecture"
SERVER = "Server"
GROUPS = (DESCRIPTION, CATEGORY, ABILITIES, REQUIREMENTS, ARCHITECTURE, SERVER)

_OWN_FORM: dict[Surface, str] = {"bulk": "Categories have a bulk edit of their own."}
_HOSTED: dict[Surface, str] = {
    "bulk": "Each hosted model has an address and a key of its own.",
    "compare": "Where a server is says nothing about the model.",
}

#: Name → field, in the order of a model's page.
FIELDS: dict[str, Field] = {}


def register(new: Field) -> None:
    """Adds a field, before anything that reads the catalogue is imported.

    Raises ``ValueError`` for a name, a label or a bit that is taken, or a declaration that is not
    whole.
    """
    for each in FIELDS.values():
        if new.name == each.name or new.label == each.label:
            raise ValueError(f"the field {each.name} has that name or label already")
        if new.wanted and each.wanted and new.wanted.bit == each.wanted.bit:
            raise ValueError(f"the bit {new.wanted.bit} is that of {each.name} already")
    if reason := _fault(new):
        raise ValueError(f"{new.name}: {reason}")
    FIELDS[new.name] = new


def _fault(new: Field) -> str | None:
    """What is wrong with a declaration by itself."""
    if not (new.name.isascii() and new.name.isidentifier() and new.name == new.name.lower()):
        return "a name is lower-case letters, digits and underscores"
    if new.group not in GROUPS:
        return f"{new.group!r} is not a group"
    if new.editable and new.kind in (Kind.TEXT, Kind.LONG) and not new.limit:
        return "a text that people write needs a limit"
    if bool(new.words) != (new.kind in (Kind.CHOICE, Kind.WORDS)):
        return "words are what a choice or a list of words may hold"
    if new.column and new.kind not in SINGLE:
        return "a column holds a single value: lists and objects stay in the JSON columns"
    if new.wanted and (new.wanted.bit.bit_count() != 1 or new.wanted.bit == NAMING_BIT):
        return f"{new.wanted.bit} is not a free bit"
    return None


def names(*kinds: Kind, editable: bool = False) -> tuple[str, ...]:
    """Names of the fields of these kinds; with ``editable`` only of those that people may set."""
    return tuple(
        each.name
        for each in FIELDS.values()
        if each.kind in kinds and (each.editable or not editable)
    )


def grouped(among: Mapping[str, Field] | None = None) -> dict[str, tuple[Field, ...]]:
    """The fields of each group, in the order of the Metadata tab, without empty groups."""
    all_of_them = (FIELDS if among is None else among).values()
    groups = {group: tuple(e for e in all_of_them if e.group == group) for group in GROUPS}
    return {group: fields for group, fields in groups.items() if fields}


_ENDPOINT = (
    "Base address, such as https://models.example.org/v1. A server inside this network has to be"
    " named in KAREN_ENDPOINT_PRIVATE."
)
_KEY_VARIABLE = (
    f"Name of the environment variable that holds the key; begins with {KEY_PREFIX}. The key is"
    " never stored. KAREN_ENDPOINT_HOSTS with the same ending names the hosts that it may be sent"
    " to."
)

# fmt: off
for _field in (
    Field("display_name", "Display name", Kind.TEXT, DESCRIPTION, limit=300, column=True,
        known=True, summary=True, not_in={"compare": "It is the heading of the model's column."}),
    Field("description", "Description", Kind.LONG, DESCRIPTION,
        "What it is for and what it is good at, in a few sentences.", limit=4_000, column=True,
        wanted=Expectation("a description", "No description", 1)),
    Field("type", "Runs with", Kind.CHOICE, ARCHITECTURE, words=tuple(ModelType), column=True,
        known=True, summary=True),
    Field("format", "Format", Kind.TEXT, ARCHITECTURE, column=True, summary=True, editable=False),
    Field("architecture", "Architecture", Kind.TEXT, ARCHITECTURE, limit=200, column=True,
        summary=True),
    Field("model_family", "Family", Kind.TEXT, ARCHITECTURE, limit=200, column=True, summary=True),
    Field("parameter_count", "Parameters", Kind.NUMBER, ARCHITECTURE, column=True, summary=True),
    Field("active_parameter_count", "Active parameters", Kind.NUMBER, ARCHITECTURE,
        "Those that each token passes through.", column=True),
    Field("context_length", "Context length", Kind.NUMBER, ARCHITECTURE, "In tokens.", column=True,
        summary=True),
    Field("embedding_length", "Embedding length", Kind.NUMBER, ARCHITECTURE, column=True),
    Field("layer_count", "Layers", Kind.NUMBER, ARCHITECTURE, column=True),
    Field("vocab_size", "Vocabulary", Kind.NUMBER, ARCHITECTURE, column=True),
    Field("dtype", "Precision", Kind.TEXT, ARCHITECTURE, column=True, summary=True, editable=False),
    Field("quantization", "Quantization", Kind.TEXT, ARCHITECTURE, limit=40, column=True,
        summary=True),
    Field("bits_per_weight", "Bits per weight", Kind.FRACTION, ARCHITECTURE, column=True,
        summary=True, editable=False),
    Field("primary", "Category", Kind.CHOICE, CATEGORY, words=tuple(Primary), column=True,
        summary=True, not_in=_OWN_FORM),
    Field("secondary", "Use", Kind.CHOICE, CATEGORY, words=tuple(Secondary), column=True,
        summary=True, not_in=_OWN_FORM),
    Field("specialization", "Domain", Kind.CHOICE, CATEGORY, words=tuple(Specialization),
        column=True, summary=True, not_in=_OWN_FORM),
    Field("modalities", "Modalities", Kind.WORDS, ABILITIES, words=tuple(Modality), summary=True),
    Field("input_modalities", "Input", Kind.WORDS, ABILITIES, words=tuple(Modality)),
    Field("output_modalities", "Output", Kind.WORDS, ABILITIES, words=tuple(Modality)),
    Field("capabilities", "Capabilities", Kind.WORDS, ABILITIES, words=tuple(Capability),
        summary=True, wanted=Expectation("its capabilities", "No capabilities", 4)),
    Field("language_support", "Languages", Kind.LIST, DESCRIPTION, "Codes such as en, de or zh.",
        wanted=Expectation("its languages", "No languages", 32, "TEXT")),
    Field("license", "License", Kind.TEXT, DESCRIPTION,
        "An identifier such as apache-2.0, or the license’s own name.", limit=200, column=True,
        suggested=dict.fromkeys(LICENSES, ""), summary=True,
        wanted=Expectation("a license", "No license", 2)),
    Field("author", "Author", Kind.TEXT, DESCRIPTION, limit=200, column=True, summary=True),
    Field("version", "Version", Kind.TEXT, DESCRIPTION, limit=100, column=True, summary=True),
    Field("base_model", "Base model", Kind.TEXT, ARCHITECTURE,
        "The model it was made from, such as mistralai/Mixtral-8x7B-v0.1.", limit=300, column=True),
    Field("base_model_relation", "Relation to base", Kind.TEXT, ARCHITECTURE, limit=40,
        column=True, suggested=dict(Relation.choices)),
    Field("tags", "Tags", Kind.LIST, DESCRIPTION, summary=True,
        not_in={"bulk": "Tags have a bulk edit of their own, which adds and removes single ones."}),
    Field("use_cases", "Use cases", Kind.LIST, DESCRIPTION),
    Field("specialized_domains", "Domains of use", Kind.LIST, DESCRIPTION),
    Field("performance_metrics", "Performance metrics", Kind.OBJECT, REQUIREMENTS,
        "Such as inference_speed or accuracy_score.",
        wanted=Expectation("performance characteristics", "No performance", 16)),
    Field("resource_requirements", "Resource requirements", Kind.OBJECT, REQUIREMENTS,
        "Such as min_ram_gb, gpu_memory_gb or cpu_cores.", below_zero=False,
        wanted=Expectation("resource requirements", "No requirements", 8)),
    Field("optimization_settings", "Optimization settings", Kind.OBJECT, REQUIREMENTS,
        "Such as quantization, batch_size or temperature."),
    Field("custom", "Other fields", Kind.OBJECT, REQUIREMENTS,
        "Whatever else is worth keeping, under names of your own."),
    Field("endpoint", "Endpoint", Kind.TEXT, SERVER, _ENDPOINT, limit=1_000, hosted=True,
        not_in=_HOSTED),
    Field("api_key_variable", "Key variable", Kind.TEXT, SERVER, _KEY_VARIABLE, limit=100,
        hosted=True, not_in=_HOSTED),
):
    register(_field)
# fmt: on
