"""What lists of models can be narrowed by, each thing declared once.

The Models page (facets, chips), the search box, saved views, collections, the API with its OpenAPI
document and the help read from here. The columns are those of ``Listing``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from discovery.engine.core import format_registry
from discovery.engine.core.text import word
from discovery.engine.core.vocabulary import (
    Capability,
    Fits,
    Modality,
    ModelType,
    Primary,
    Secondary,
    Specialization,
    Status,
    Visibility,
    family_name,
)
from discovery.words import FIELD_LABELS

#: Asks for what is not known, or has none: ``license:none``.
NONE = "none"


class Kind(Enum):
    """How a filter finds models."""

    #: The column holds the value.
    VALUE = auto()
    #: The column holds several words with commas around them: ``,IMAGE,TEXT,``.
    WORDS = auto()
    #: The value is the name of a row that models are linked with; the column names the relation.
    LINK = auto()
    #: The value is a root, by what the person is told that it is called.
    ROOT = auto()
    #: The value says what this machine's memory makes of the column.
    MEMORY = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """One parameter of the Models page and of the API.

    A repeated parameter means "or"; an unknown value matches nothing, and is never dropped.

    ``values`` are all possible values, where they are few; ``in_order`` keeps them in that order,
    other options are sorted by number of models. ``shorthands`` may stand before the colon in the
    search box in addition to ``name``; the help shows the first one. ``facet`` is its place among
    the facets; ``None`` is for filters that only links and addresses use. A facet that is not
    ``is_open`` is loaded when somebody opens it. ``staff_only`` filters reveal more than the models
    that a person sees; ``signed_in_only`` more than visitors may know. ``unknown`` is the page's
    name for models without a value, and ``always_known`` says that there are none. ``description``
    is a sentence for help and API.
    """

    name: str
    label: str
    column: str
    description: str
    kind: Kind = Kind.VALUE
    values: tuple[str, ...] = ()
    value_label: Callable[[str], str] = str
    in_order: bool = True
    shorthands: tuple[str, ...] = ()
    unknown: str = "Not known"
    always_known: bool = False
    facet: int | None = None
    is_open: bool = False
    staff_only: bool = False
    signed_in_only: bool = False

    @property
    def typed(self) -> str:
        """The name that the help gives for use before the colon."""
        return self.shorthands[0] if self.shorthands else self.name

    def say(self, value: str) -> str:
        """A value as people say it."""
        return self.unknown if value == NONE else self.value_label(value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A number that lists can be filtered and sorted by.

    ``min_NAME`` and ``max_NAME`` limit it, and ``NAME:>=…`` compares it in the search box.

    ``units`` maps a unit to the smallest and the largest number that it may mean.
    """

    name: str
    label: str
    column: str
    units: Mapping[str, tuple[int, int]]
    example: str
    description: str

    def bound_label(self, above: bool) -> str:
        return f"{self.label} {'up to' if above else 'from'}"


#: Parameter → filter, in the order in which addresses have them. New ones go to the end: saved
#: views are compared by their address.
FILTERS: dict[str, Filter] = {
    each.name: each
    for each in (
        Filter(
            name="type",
            label=FIELD_LABELS["type"],
            column="type",
            description="The library or program that runs it.",
            values=ModelType.values,
            value_label=ModelType.label_of,
            in_order=False,
            always_known=True,
            facet=30,
            is_open=True,
        ),
        Filter(
            name="format",
            label=FIELD_LABELS["format"],
            column="format",
            description="Format of the main weight files, such as `gguf`.",
            value_label=format_registry.label,
            unknown="No weights",
            facet=70,
        ),
        Filter(
            name="status",
            label="Status",
            column="status",
            description="Whether its files are whole and safe to load.",
            values=Status.values,
            value_label=Status.label_of,
            always_known=True,
            facet=40,
            is_open=True,
        ),
        Filter(
            name="primary",
            label=FIELD_LABELS["primary"],
            column="primary",
            description="What kind of data it works on.",
            values=Primary.values,
            value_label=Primary.label_of,
            shorthands=("category",),
            facet=10,
            is_open=True,
        ),
        Filter(
            name="secondary",
            label=FIELD_LABELS["secondary"],
            column="secondary",
            description="What it is used for.",
            values=Secondary.values,
            value_label=Secondary.label_of,
            shorthands=("use",),
            facet=20,
            is_open=True,
        ),
        Filter(
            name="specialization",
            label=FIELD_LABELS["specialization"],
            column="specialization",
            description="The subject that it knows best.",
            values=Specialization.values,
            value_label=Specialization.label_of,
            shorthands=("domain",),
            facet=60,
        ),
        Filter(
            name="visibility",
            label=FIELD_LABELS["visibility"],
            column="visibility",
            description="Who may see it.",
            values=Visibility.values,
            value_label=Visibility.label_of,
            always_known=True,
            facet=140,
            staff_only=True,
        ),
        Filter(
            name="license",
            label=FIELD_LABELS["license"],
            column="license",
            description="As model cards write it, such as `apache-2.0`.",
            unknown="No license",
            facet=100,
        ),
        Filter(
            name="family",
            label=FIELD_LABELS["model_family"],
            column="model_family",
            description="As `model_family` has it, such as `llama`.",
            value_label=family_name,
            facet=130,
        ),
        Filter(
            name="author",
            label=FIELD_LABELS["author"],
            column="author",
            description="Who published it, as `author` has it.",
        ),
        Filter(
            name="architecture",
            label=FIELD_LABELS["architecture"],
            column="architecture",
            description="As `architecture` has it, such as `LlamaForCausalLM`.",
            shorthands=("arch",),
        ),
        Filter(
            name="quantization",
            label=FIELD_LABELS["quantization"],
            column="quantization",
            description="Of the first variant, such as `Q4_K_M`.",
            shorthands=("quant",),
        ),
        Filter(
            name="dtype",
            label=FIELD_LABELS["dtype"],
            column="dtype",
            description="Precision of the weights, such as `BF16`.",
        ),
        Filter(
            name="modality",
            label="Modality",
            column="modality_words",
            kind=Kind.WORDS,
            description="A kind of data that it takes or gives.",
            values=Modality.values,
            value_label=Modality.label_of,
            facet=80,
        ),
        Filter(
            name="capability",
            label=FIELD_LABELS["capabilities"],
            column="capability_words",
            kind=Kind.WORDS,
            description="Something that it can do.",
            values=Capability.values,
            value_label=Capability.label_of,
            in_order=False,
            facet=90,
        ),
        Filter(
            name="fits",
            label="Fits this machine",
            column="memory_bytes",
            kind=Kind.MEMORY,
            description="What this machine's memory makes of the first variant.",
            values=Fits.values,
            value_label=Fits.label_of,
            facet=50,
            is_open=True,
        ),
        Filter(
            name="tag",
            label=FIELD_LABELS["tags"],
            column="tagged",
            kind=Kind.LINK,
            description="A tag that people or model cards put on it.",
            facet=110,
        ),
        Filter(
            name="collection",
            label=FIELD_LABELS["collections"],
            column="collections",
            kind=Kind.LINK,
            description="Name of a collection, as `collections` has it.",
            facet=120,
            signed_in_only=True,
        ),
        Filter(
            name="root",
            label="Root",
            column="root_id",
            kind=Kind.ROOT,
            description="Name of a root, as `root` has it: administrators are told its path.",
            always_known=True,
            facet=150,
        ),
    )
}

#: Facets in the order of the page.
FACETS: dict[str, Filter] = {
    each.name: each
    for each in sorted(FILTERS.values(), key=lambda each: each.facet or 0)
    if each.facet is not None
}

#: ``k`` of a context is 1,000 or 1,024: nobody is left out by the difference.
_DECIMAL = {"k": (10**3, 10**3), "m": (10**6, 10**6), "b": (10**9, 10**9), "t": (10**12, 10**12)}
_TOKENS = {"k": (1_000, 1_024), "m": (1_000_000, 1_048_576)}
_BYTES = {
    **{
        unit: (10**power, 10**power)
        for unit, power in (("b", 0), ("kb", 3), ("mb", 6), ("gb", 9), ("tb", 12))
    },
    **{
        unit: (1 << power, 1 << power)
        for unit, power in (("kib", 10), ("mib", 20), ("gib", 30), ("tib", 40))
    },
}

NUMBERS: dict[str, Number] = {
    each.name: each
    for each in (
        Number(
            name="params",
            label="Parameters",
            column="parameter_count",
            units=_DECIMAL,
            example="params:>7b",
            description="Counted from the shapes of the tensors.",
        ),
        Number(
            name="context",
            label="Context",
            column="context_length",
            units=_TOKENS,
            example="context:>=32k",
            description="In tokens.",
        ),
        Number(
            name="size",
            label="Size",
            column="size_bytes",
            units=_BYTES,
            example="size:<10gb",
            description="In bytes, on disk.",
        ),
        Number(
            name="memory",
            label="Memory",
            column="memory_bytes",
            units=_BYTES,
            example="memory:<=24gib",
            description="In bytes, to run the first variant.",
        ),
    )
}

#: Parameter → (the number that it bounds, whether from above).
BOUNDS: dict[str, tuple[Number, bool]] = {
    f"{prefix}_{name}": (number, prefix == "max")
    for name, number in NUMBERS.items()
    for prefix in ("min", "max")
}


def label(name: str) -> str:
    """What people call a parameter; one that is none of these is called as it is written."""
    if name in BOUNDS:
        number, above = BOUNDS[name]
        return number.bound_label(above)
    return FILTERS[name].label if name in FILTERS else word(name)


def say(name: str, value: str) -> str:
    """A value of a parameter as people say it."""
    return FILTERS[name].say(value) if name in FILTERS else value
