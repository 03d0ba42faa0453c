"""The formats that models are exported in, for page, admin, API and command."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.utils import timezone

from discovery.engine.identify.model_ids import slug
from discovery.models import RegisteredModel, RegisteredModelQuerySet
from discovery.services.access.redaction import Sight
from discovery.services.registry import aliases
from discovery.services.transfer import exports, programs

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

_YAML, _SHELL = "application/yaml", "text/x-shellscript; charset=utf-8"


def _bill_of_materials(rows: RegisteredModelQuerySet, sight: Sight | None = None) -> Iterator[str]:
    # Its library takes longer to import than most commands take.
    from discovery.services.transfer import bom

    return bom.cyclonedx(rows, sight)


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """``write`` yields the file in pieces; ``ending`` is that of its name.

    ``is_documents``: it holds whole models, and ``import_metadata`` reads it back.
    """

    label: str
    ending: str
    content_type: str
    write: Callable[[RegisteredModelQuerySet, Sight | None], Iterator[str]]
    help: str
    is_documents: bool = False

    def headers(self, ids: Sequence[str] = ()) -> dict[str, str]:
        """The headers of a download: one model gives the file its name."""
        stem = slug(ids[0]) if len(ids) == 1 else "models"
        name = f"{stem}-{timezone.now():%Y-%m-%d}.{self.ending}"
        return {
            "Content-Type": self.content_type,
            "Content-Disposition": f'attachment; filename="{name}"',
        }


FORMATS = {
    "json": ExportFormat(
        "JSON", "json", "application/json", exports.as_json, "model documents", True
    ),
    "csv": ExportFormat(
        "CSV", "csv", "text/csv; charset=utf-8", exports.as_csv, "a table", True
    ),
    "cyclonedx": ExportFormat(
        "CycloneDX ML-BOM", "cdx.json", "application/vnd.cyclonedx+json; version=1.6",
        _bill_of_materials, "a bill of materials with hashes, licenses and lineage",
    ),
    "ollama": ExportFormat(
        "Ollama", "sh", _SHELL, programs.ollama,
        "a Modelfile for one model, else a script that creates each model",
    ),
    "llama-swap": ExportFormat(
        "llama-swap", "yaml", _YAML, programs.llama_swap, "its configuration file",
    ),
    "litellm": ExportFormat(
        "LiteLLM", "yaml", _YAML, programs.litellm, "the model list of its proxy",
    ),
    "vllm": ExportFormat(
        "vLLM", "sh", _SHELL, programs.vllm,
        "a --config file for one model, else a script that serves one of them",
    ),
    "localai": ExportFormat(
        "LocalAI", "yaml", _YAML, programs.localai, "a list of model configurations",
    ),
    "mlflow": ExportFormat(
        "MLflow", "py", "text/x-python; charset=utf-8", programs.mlflow,
        "a script that registers the models",
    ),
}  # fmt: skip


def named(user: AbstractBaseUser | AnonymousUser, ids: Collection[str]) -> RegisteredModelQuerySet:
    """Return the models with these IDs, or former IDs, that ``user`` may see, in order of name."""
    seen = RegisteredModel.objects.visible_to(user).filter(aliases.named(ids))
    return seen.order_by("sort_name", "pk")
