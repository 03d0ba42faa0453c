"""Missing models with their possible new places."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from ninja import Schema
from pydantic import ConfigDict, Field

from discovery.api.inputs import Name
from discovery.api.paging import Listed


class MoveCandidate(Schema):
    """A model that is there, with the weights of the missing one."""

    model_id: str
    root: str
    path: str
    decisions: list[str] = Field(
        description="What people have decided about it, a phrase each.",
        examples=[["2 edited values"]],
    )
    existed_together: bool = Field(
        description="Both were there at one time: it may be a copy.", examples=[False]
    )
    same_content: bool = Field(description="All its files are the same.", examples=[True])
    is_whole: bool = Field(
        description="The files of the missing model are part of it now.", examples=[False]
    )


class Move(Schema):
    """A missing model, and where it may be now."""

    model_id: str
    root: str
    path: str
    missing_since: datetime | None = Field(description="When a scan missed it first.")
    decisions: list[str] = Field(
        description="What people have decided about it, a phrase each.",
        examples=[["1 edited value"]],
    )
    candidates: list[MoveCandidate] = Field(description="The likeliest first.", examples=[[]])
    more: int = Field(description="Candidates that are not listed.", examples=[0])


class Moves(Listed):
    results: list[Move] = Field(description="Missing models.", examples=[[]])


class MovePair(Schema):
    """Two models that may be one."""

    model_config = ConfigDict(extra="forbid")

    old: Name = Field(description="Id of the missing model.", examples=["llama-2-7b-chat"])
    new: Name = Field(description="Id of the model that is there.", examples=["llama-2-7b-chat-2"])


class MoveChoice(Schema):
    """One decision of both models, and what the joined one gets."""

    field: str = Field(description="Name of the field.", examples=["license"])
    old: Any = Field(description="Of the missing model.", examples=["mit"])
    new: Any = Field(description="Of the model that is there.", examples=[None])
    result: Any = Field(description="Of the joined model.", examples=["mit"])
    wins: Literal["old", "new", "both", ""] = Field(
        description="Where the result is from; empty where both agree.", examples=["old"]
    )
    disputed: bool = Field(description="People decided differently.", examples=[False])


class MoveComparison(Schema):
    """What joining two models would do."""

    old: str = Field(description="Id of the missing model.", examples=["llama-2-7b-chat"])
    new: str = Field(description="Id of the model that is there.", examples=["llama-2-7b-chat-2"])
    stays: str = Field(
        description="The id that the joined model has; the other becomes an alias.",
        examples=["llama-2-7b-chat"],
    )
    refusal: str | None = Field(description="Why they cannot be joined.", examples=[None])
    same_weights: bool = Field(description="Their weights are the same.", examples=[True])
    same_content: bool = Field(description="All their files are the same.", examples=[True])
    existed_together: bool = Field(
        description="Both were there at one time: one may be a copy.", examples=[False]
    )
    choices: list[MoveChoice] = Field(description="Each decision of both.", examples=[[]])


class RejectedPair(Schema):
    """A pair that is not offered again, and that scans do not join."""

    old: str = Field(description="Id of the missing model.", examples=["llama-2-7b-chat"])
    new: str = Field(description="Id of the other model.", examples=["llama-2-7b-chat-2"])
    rejected: Literal[True] = Field(description="The two stay two models.", examples=[True])
