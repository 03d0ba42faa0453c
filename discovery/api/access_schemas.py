"""Access rules, the default visibility, grants, and the people and groups they are for."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from ninja import Schema
from pydantic import Field, StringConstraints

from discovery.api.edits import Edit
from discovery.api.inputs import STORABLE, Name, SearchText
from discovery.api.metadata_schemas import Strict
from discovery.api.paging import Listed, Paged
from discovery.engine.core.service_words import RuleKind
from discovery.engine.core.vocabulary import Visibility
from discovery.services.access.rule_terms import MAX_VALUE

WHEN = "2026-11-29T08:30:00Z"
Value = Annotated[str, StringConstraints(min_length=1, max_length=MAX_VALUE), STORABLE]

_VISIBILITY = "What it makes of its models; null: it says nothing of that."
_GROUPS = "Names of the groups that see its models while these are restricted."


class Term(Schema):
    kind: RuleKind = Field(description="What models of the rule have.", examples=["tag"])
    value: str = Field(description="The value that they have.", examples=["prod"])


class RuleRow(Schema):
    rule_id: int = Field(description="Its id.", examples=[7])
    label: str = Field(description="What it is called.", examples=["Tag: prod"])
    terms: list[Term] = Field(description="A model with one of these follows the rule.")
    visibility: Visibility | None = Field(description=_VISIBILITY, examples=["RESTRICTED"])
    groups: list[str] = Field(description=_GROUPS, examples=[["lab"]])
    file_key: str | None = Field(
        description="Where it stands in `access_control.json`; null: people made it.",
        examples=[None],
    )
    models: int = Field(description="Models that follow it.", examples=[12])
    restricted: int = Field(description="Those that are restricted.", examples=[9])


class Rules(Listed):
    results: list[RuleRow] = Field(description="Those of the access file last.")


class NewRule(Strict):
    """A rule needs a visibility, or a group that may see its models."""

    kind: RuleKind = Field(description="What the models have in common.", examples=["tag"])
    value: Value = Field(
        description="The value that they have: a root by its path or name, a category, a tag …",
        examples=["prod"],
    )
    visibility: Visibility | None = Field(None, description=_VISIBILITY, examples=["RESTRICTED"])
    groups: list[Name] = Field([], max_length=500, description=_GROUPS, examples=[["lab"]])


class RuleEdit(Edit):
    nullable: ClassVar[frozenset[str]] = frozenset({"visibility"})

    visibility: Visibility | None = Field(None, description=_VISIBILITY, examples=["PUBLIC"])
    groups: list[Name] | None = Field(None, max_length=500, description=_GROUPS, examples=[["lab"]])


class RulePreview(Schema):
    sentences: list[str] = Field(
        description="What the rule would do, a sentence each.",
        examples=[["12 models match now.", "lab would see 9 more restricted models."]],
    )


class Default(Schema):
    """The visibility of models that nothing else decides."""

    visibility: Visibility = Field(description="As it is in force.", examples=["RESTRICTED"])
    source: str = Field(
        description="Who decides it: `person`, `file` or `default`.", examples=["default"]
    )


class DefaultEdit(Strict):
    visibility: Visibility | None = Field(
        description="Null leaves it to the access file.", examples=["RESTRICTED"]
    )


class MatrixRow(Schema):
    """A collection or a rule, and the groups that it opens its restricted models to."""

    kind: Literal["collection", "rule"] = Field(description="What it is.", examples=["rule"])
    id: int = Field(description="Its id, as rules or collections have it.", examples=[7])
    label: str = Field(description="What it is called.", examples=["Tag: prod"])
    file: bool = Field(description="Whether it stands in the access file.", examples=[False])
    visibility: Visibility | None = Field(description=_VISIBILITY, examples=["RESTRICTED"])
    models: int = Field(description="Models that it means.", examples=[12])
    restricted: int = Field(description="Those that are restricted.", examples=[9])
    groups: list[str] = Field(description=_GROUPS, examples=[["lab"]])


class Matrix(Listed):
    results: list[MatrixRow] = Field(description="Collections first, then rules.")


class AccessChangeRow(Schema):
    access_change_id: int = Field(description="Its id, to undo it by.", examples=[31])
    subject: str = Field(description="`rule` or `collection`.", examples=["rule"])
    subject_id: int = Field(description="The id of the rule or the collection.", examples=[7])
    label: str = Field(description="What it was called then.", examples=["Tag: prod"])
    before: Any = Field(description="As it was; null: it was not there.", examples=[None])
    after: Any = Field(
        description="As it was since; null: it is deleted.",
        examples=[{"visibility": "PUBLIC", "groups": [], "terms": [["tag", "prod"]]}],
    )
    by: str | None = Field(description="Who made the change.", examples=["admin"])
    at: datetime = Field(description="When it was made.", examples=[WHEN])
    through: str = Field(description="Where it was made.", examples=["api"])
    undoes: int | None = Field(description="The change that it undid.", examples=[None])
    undone: bool = Field(description="Whether it is undone.", examples=[False])


class AccessChanges(Listed):
    results: list[AccessChangeRow] = Field(description="The newest first.")


class UsersQuery(Paged):
    search: SearchText = Field(
        "", description="Words in user name, email address and name.", examples=["ann"]
    )
    state: Literal["active", "deactivated", "superuser", "alone"] | None = Field(
        None, description="`alone`: in no group, and not a superuser.", examples=["active"]
    )
    group: Name | None = Field(None, description="Members of this group.", examples=["lab"])


class UserRow(Schema):
    user_id: int = Field(description="The id of the account.", examples=[2])
    username: str = Field(description="The user name.", examples=["ann"])
    name: str = Field(description="First and last name.", examples=["Ann Lee"])
    email: str = Field(description="The email address.", examples=["ann@example.org"])
    active: bool = Field(description="Whether the person may sign in.", examples=[True])
    superuser: bool = Field(description="Whether the person may do everything.", examples=[False])
    groups: list[str] = Field(description="Groups that the person is in.", examples=[["lab"]])
    last_login: datetime | None = Field(description="The last sign-in.", examples=[WHEN])
    joined: datetime = Field(description="When the account was created.", examples=[WHEN])


class Users(Listed):
    results: list[UserRow] = Field(description="The accounts, by user name.")
    notes: list[str] = Field(
        description="What a filter asked for that is not there, a sentence each.", examples=[[]]
    )


class GroupsQuery(Paged):
    search: SearchText = Field("", description="Words in the name.", examples=["lab"])


class GroupRow(Schema):
    group_id: int = Field(description="The id of the group.", examples=[3])
    name: str = Field(description="Its name.", examples=["lab"])
    members: int = Field(description="How many people are in it.", examples=[4])
    permissions: list[str] = Field(
        description="What it allows its members.", examples=[["discovery.change_registeredmodel"]]
    )


class Groups(Listed):
    results: list[GroupRow] = Field(description="The groups, by name.")


class AccountChangeRow(Schema):
    at: datetime = Field(description="When it was done.", examples=[WHEN])
    by: str | None = Field(description="Who did it.", examples=["admin"])
    kind: str = Field(description="What it was done to: an account or a group.", examples=["user"])
    name: str = Field(description="The user or group name then.", examples=["ann"])
    text: str = Field(description="What was done.", examples=["created the account ann"])


class AccountChanges(Listed):
    results: list[AccountChangeRow] = Field(description="The newest first.")
