"""What is worked out from models: completeness, relatives, memory, comparisons and the disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from ninja import Schema
from pydantic import Field

from discovery.api.inputs import Name
from discovery.api.paging import Listed, Paged
from discovery.engine.core.completeness import REPORTED
from discovery.engine.core.vocabulary import Fits
from discovery.engine.memory import KV_TYPES
from discovery.services.insight.comparison import FEWEST, MOST

if TYPE_CHECKING:
    Lacking = str
    KvType = str
else:
    Lacking = Literal[tuple(REPORTED)]
    KvType = Literal[tuple(KV_TYPES)]

MAX_CONTEXT = 999_999_999


class CompletenessQuery(Paged):
    lacking: Lacking | None = Field(
        None, description="Only models without this.", examples=["license"]
    )


class BetterName(Schema):
    """What is unusual about the name of a model's folder."""

    reason: str = Field(description="What is unusual.", examples=["It has capital letters."])
    better: str | None = Field(
        description="A name that follows the convention.", examples=["llama-2-7b-chat"]
    )


class CompletenessRow(Schema):
    """One model, with what nobody has filled in."""

    model_id: str = Field(description="The id of the model.", examples=["llama-2-7b-chat"])
    name: str = Field(description="What people call it.", examples=["Llama 2 7B Chat"])
    score: int = Field(description="0 to 100.", examples=[80])
    missing: list[str] = Field(
        description="Fields that nobody has filled in.", examples=[["license"]]
    )
    naming: BetterName | None = Field(description="What to think about its name.")
    better_place: str | None = Field(
        description="The folder below the root that the convention has for it.",
        examples=["language/chat/llama-2-7b-chat"],
    )


class CompletenessReport(Listed):
    """Models by their score, the lowest first, and sums over all of them."""

    results: list[CompletenessRow] = Field(description="Models on this page.")
    models: int = Field(description="All models that you see.", examples=[41])
    average: int = Field(description="Their average score.", examples=[72])
    complete: int = Field(description="Models that lack nothing.", examples=[7])
    lacking: dict[str, int] = Field(
        description="What is lacking → how many models lack it.", examples=[{"license": 12}]
    )


class RelativeRow(Schema):
    """A model that is related to another one."""

    name: str = Field(description="As it is named.", examples=["meta-llama/Llama-2-7b-hf"])
    relation: str = Field(description="How it is related.", examples=["finetune"])
    model_id: str | None = Field(
        description="Its id; null: it is not registered, or not for you.",
        examples=["llama-2-7b"],
    )


class FamilyAnswer(Schema):
    """Where a model comes from and what is derived from it."""

    model_id: str = Field(description="The id of the model.", examples=["llama-2-7b-chat"])
    ancestors: list[RelativeRow] = Field(description="What it comes from, the nearest first.")
    children: list[RelativeRow] = Field(description="What is derived from it.")
    formats: list[RelativeRow] = Field(description="The same model in other formats.")
    siblings: list[RelativeRow] = Field(description="Others with the same base.")


class MemoryQuery(Schema):
    variant: Name | None = Field(
        None, description="Name of a variant; by default the first.", examples=["Q4_K_M"]
    )
    context: int | None = Field(
        None,
        ge=1,
        le=MAX_CONTEXT,
        description="Tokens of context; by default, and at most, as many as the model takes.",
        examples=[8192],
    )
    kv_type: KvType = Field("f16", description="Type of the values in the key-value cache.")


class MachineFit(Schema):
    """One machine's answer."""

    name: str = Field(description="Name of the machine.", examples=["This machine"])
    budget_bytes: int = Field(
        description="The memory that counts: of its GPUs, or its RAM.", examples=[25_769_803_776]
    )
    fits: Fits | None = Field(description="Whether it runs there; null where that is not known.")


class MemoryAnswer(Schema):
    """What running a model takes, term by term. A term that is not known is null."""

    model_id: str = Field(description="The id of the model.", examples=["llama-2-7b-chat"])
    variant: str | None = Field(description="The variant; null: no weights.", examples=["Q4_K_M"])
    context_length: int | None = Field(description="Tokens of context.", examples=[8192])
    kv_type: str = Field(description="Type of the key-value cache.", examples=["f16"])
    weights_bytes: int | None = Field(description="Bytes of weights.", examples=[4_081_004_224])
    kv_cache_bytes: int | None = Field(description="Bytes of cache.", examples=[1_073_741_824])
    overhead_bytes: int | None = Field(description="Bytes of the runtime.", examples=[536_870_912])
    projector_bytes: int | None = Field(description="Bytes of a projector.", examples=[0])
    total_bytes: int | None = Field(description="Bytes in all.", examples=[5_691_616_960])
    at_least: list[str] = Field(
        description="Terms that are missing from the sum.", examples=[["kv_cache_bytes"]]
    )
    notes: list[str] = Field(
        description="What to know about the sum.", examples=[["Images need memory of their own."]]
    )
    machines: list[MachineFit] = Field(description="This machine and those under Settings.")


class CompareQuery(Schema):
    model_id: list[Name] = Field(
        min_length=FEWEST,
        max_length=MOST,
        description="The models, in the order in which they are told.",
        examples=[["llama-2-7b-chat", "mistral-7b-instruct"]],
    )
    differences: bool = Field(False, description="Leave out what is the same in all of them.")
    tensors: bool = Field(False, description="Compare the tensors too, read from the headers now.")


class ComparedField(Schema):
    """One field of each model, in their order."""

    field: str = Field(description="Name of the field.", examples=["license"])
    differs: bool = Field(description="Whether it is not the same in all of them.")
    values: list[Any] = Field(description="Its values.", examples=[["llama2", "apache-2.0"]])


class TensorKind(Schema):
    dtype: str = Field(description="Precision.", examples=["BF16"])
    shape: list[int] = Field(description="Elements in each direction.", examples=[[4096, 4096]])


class ComparedTensor(Schema):
    """A tensor that is not the same in all models."""

    name: str = Field(description="Its name.", examples=["lm_head.weight"])
    kinds: list[TensorKind | None] = Field(
        description="What each model has under this name; null: nothing.",
        examples=[[{"dtype": "BF16", "shape": [4096, 4096]}, None]],
    )


class ComparedTensors(Schema):
    same: int = Field(description="Tensors that are the same.", examples=[290])
    differing: int = Field(description="Tensors that are not.", examples=[1])
    results: list[ComparedTensor] = Field(description="Those that are not, the first of them.")
    faults: list[str] = Field(description="What could not be read.", examples=[[]])


class ComparisonAnswer(Schema):
    """Models side by side."""

    models: list[str] = Field(
        description="Ids of the models.", examples=[["llama-2-7b-chat", "mistral-7b-instruct"]]
    )
    results: list[ComparedField] = Field(description="Fields, in the order of the page.")
    tensors: ComparedTensors | None = Field(description="The tensors, where they were asked for.")
    tensors_fault: str | None = Field(
        description="Why they cannot be compared.",
        examples=["Tensors are compared between models of one architecture."],
    )
    unknown: dict[str, list[str]] | None = Field(
        None, description="Ids that no model has which you see.", examples=[{"model_id": ["x"]}]
    )


class DiskMapQuery(Schema):
    by: Literal["primary", "type", "status", "root"] = Field(
        "primary", description="What the models are put together by."
    )
    largest: int = Field(
        0, ge=0, le=100, description="How many of the largest models to name.", examples=[10]
    )


class DiskShare(Schema):
    """Models that have one value."""

    value: str | None = Field(description="The value; null: none.", examples=["LANGUAGE"])
    count: int = Field(description="How many models.", examples=[12])
    size_bytes: int = Field(description="Their bytes on disk.", examples=[53_687_091_200])


class LargeModel(Schema):
    model_id: str = Field(description="The id of the model.", examples=["llama-2-7b-chat"])
    size_bytes: int = Field(description="Its bytes on disk.", examples=[13_476_925_163])


class Unread(Schema):
    files: int = Field(description="How many files.", examples=[3])
    bytes: int = Field(description="Their bytes.", examples=[4_096_000])


class DiskMap(Schema):
    """What takes up the disk, as far as you see it."""

    count: int = Field(description="How many models.", examples=[41])
    size_bytes: int = Field(description="Their bytes on disk.", examples=[107_374_182_400])
    results: list[DiskShare] = Field(description="The values, that with the most models first.")
    largest: list[LargeModel] = Field(description="The largest models.")
    unrecognized: Unread | None = Field(description="Files that no reader knows; null for viewers.")
