"""Exports and imports of metadata, and the rules of categories."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ninja import Schema
from pydantic import ConfigDict, Field

from discovery.api.inputs import Name
from discovery.api.paging import Listed
from discovery.engine.core.service_words import ImportStage, JobState


class NewImport(Schema):
    """An edited export."""

    model_config = ConfigDict(extra="forbid")

    name: Name = Field(description="What the file is called.", examples=["models.csv"])
    content: str = Field(
        min_length=1,
        description="The file itself: CSV or JSON, as an export writes it.",
        examples=["model_id,license\nllama-2-7b-chat,llama2\n"],
    )


class ApplyImport(Schema):
    """How a checked file is imported."""

    model_config = ConfigDict(extra="forbid")

    skip_errors: bool = Field(
        False, strict=True, description="Leave out rows that are wrong; else all rows or none."
    )


class ImportedChange(Schema):
    field: str = Field(description="The field.", examples=["license"])
    before: Any = Field(description="What counts now.", examples=["mit"])
    after: Any = Field(description="What the file says.", examples=["apache-2.0"])
    automatic: bool = Field(description="The field goes back to what the files say.")


class ImportFault(Schema):
    field: str = Field(description="The field, or what else it is about.", examples=["license"])
    message: str = Field(description="What is wrong.", examples=["must be a text"])


class ImportRowEffect(Schema):
    """What one row does, or why it does nothing."""

    row: int = Field(description="Its number in the file.", examples=[2])
    model_id: str = Field(description="The model.", examples=["llama-2-7b-chat"])
    title: str = Field(description="What people call it.", examples=["Llama 2 7B Chat"])
    changes: list[ImportedChange] = Field(description="What it changes.")
    errors: list[ImportFault] = Field(description="What is wrong with it.")


class ImportReport(Schema):
    """What came of the check, or of the import. Counts are whole, rows the first of each kind."""

    rows: int = Field(description="Rows that were read.", examples=[41])
    changed: int = Field(description="Models that change.", examples=[2])
    fields: int = Field(description="Fields that change.", examples=[3])
    unchanged: int = Field(description="Rows that change nothing.", examples=[38])
    wrong: int = Field(description="Rows that are wrong.", examples=[1])
    effects: list[ImportRowEffect] = Field(description="Rows that change something.")
    faults: list[ImportRowEffect] = Field(description="Rows that are wrong.")


class ImportRow(Schema):
    """A file of edited metadata: checked first, then applied or discarded."""

    import_id: int = Field(description="The id of the import.", examples=[4])
    name: str = Field(description="What the file was called.", examples=["models.csv"])
    stage: ImportStage = Field(description="Whether it is checked or applied.")
    state: JobState = Field(description="How far that is.")
    done: int = Field(description="Rows that were looked at.", examples=[41])
    requested_by: str | None = Field(description="Who asked for it.", examples=["anna"])
    created_at: datetime = Field(description="When the file came.")
    finished_at: datetime | None = Field(description="When the stage ended.")
    message: str | None = Field(description="How it ended.", examples=[None])
    batch: str = Field(
        description="What its changes share, to undo them together.",
        examples=["6f1c2a0e-4b7d-4f0e-9a55-0d3c5f6b7a81"],
    )


class ImportDetails(ImportRow):
    report: ImportReport | None = Field(description="What came of the stage, once it is over.")


class Imports(Listed):
    results: list[ImportRow] = Field(description="Files, the newest first.")


class RulesBody(Schema):
    """The rules, as ``model_categorization.json`` has them."""

    model_config = ConfigDict(extra="forbid")

    rules: dict[str, Any] = Field(
        description="The whole file.",
        examples=[
            {"categorization_rules": {"secondary_category": {"CODE": {"keywords": ["coder"]}}}}
        ],
    )


class CategoryCount(Schema):
    axis: str = Field(description="The axis.", examples=["secondary"])
    category: str = Field(description="The category.", examples=["CODE"])
    count: int = Field(description="Models that have it now.", examples=[7])


class RulesAnswer(Schema):
    """The rules that decide categories."""

    rules: dict[str, Any] = Field(
        description="The whole file.", examples=[{"categorization_rules": {}}]
    )
    shipped: bool = Field(description="There is no file: these are the ones that come with it.")
    can_undo: bool = Field(description="There is an earlier version.")
    results: list[CategoryCount] = Field(description="Models by category.")


class RuleMove(Schema):
    """Models that go from one category to another."""

    axis: str = Field(description="The axis.", examples=["secondary"])
    before: str | None = Field(description="The category now.", examples=["CHAT"])
    after: str | None = Field(description="The category afterwards.", examples=["CODE"])
    count: int = Field(description="How many models.", examples=[2])


class RuleChange(Schema):
    """One model whose category would change."""

    model_id: str = Field(description="The model.", examples=["llama-2-7b-chat"])
    axis: str = Field(description="The axis.", examples=["secondary"])
    before: str | None = Field(description="The category now.", examples=["CHAT"])
    after: str | None = Field(description="The category afterwards.", examples=["CODE"])
    why: str = Field(description="The strongest evidence.", examples=["keyword coder in name"])
    kept: bool = Field(description="A person decided otherwise, so it stays.")


class RulesTrial(Schema):
    """What saving the rules would do. Nothing was written."""

    models: int = Field(description="Models that were looked at.", examples=[41])
    changed: int = Field(description="Models whose categories would change.", examples=[2])
    kept: int = Field(description="Models that stay because a person decided.", examples=[0])
    moves: list[RuleMove] = Field(description="What goes where, the most first.")
    changes: list[RuleChange] = Field(description="The first models that would change.")
