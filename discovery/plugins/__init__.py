"""What the author of a discovery plugin imports.

A plugin is a class in a Python file of the plugins folder::

    from discovery.plugins import List, Modality, ModelDiscoveryPlugin, ModelMetadata

It runs in a child process without Django, network and secrets; ``docs/plugins.md`` explains it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, List  # noqa: UP035  (plugins import it from here)

from discovery.engine.core.vocabulary import Capability, Modality, ModelType

__all__ = [
    "Capability",
    "List",
    "Modality",
    "ModelDiscoveryPlugin",
    "ModelMetadata",
    "ModelRegistryPlugin",
    "ModelType",
]


class ModelMetadata:
    """Facts about a model, by the names that ``metadata.json`` has for them.

    ``ModelMetadata(license="mit", parameter_count=7_000_000_000)``. A key that is not a field is
    kept among the custom fields. Values are checked by Karen Admin, not here.
    """

    def __init__(self, **fields: Any) -> None:
        self.__dict__.update(fields)

    def as_dict(self) -> dict[str, Any]:
        return dict(self.__dict__)

    def __repr__(self) -> str:
        told = ", ".join(f"{name}={value!r}" for name, value in self.__dict__.items())
        return f"ModelMetadata({told})"


class ModelDiscoveryPlugin:
    """A reader of models that Karen Admin does not know.

    Paths are absolute. ``can_handle`` is asked about files and folders that no built-in format
    recognizes; the other methods about those that it says yes to.
    """

    #: Shown on the Plugins page. After a change of the version, models are read again.
    version = ""
    #: What people call it; empty: the words of the class name.
    label = ""
    #: Endings of the names that it handles, such as ``(".custom",)``. Paths that end otherwise are
    #: not asked about; empty: all are.
    suffixes: tuple[str, ...] = ()

    def can_handle(self, path: str) -> bool:
        """Whether there is a model of this kind at the path."""
        return False

    def extract_metadata(self, path: str) -> ModelMetadata | None:
        """Facts about the model; ``None`` when nothing is known."""
        return None

    def detect_modalities(self, path: str) -> List[Modality] | None:  # noqa: UP006
        """What the model takes and gives; ``None`` or an empty list when it is not known."""
        return None

    def collect_evidence(self, path: str) -> Mapping[str, Any] | None:
        """What the categorization rules decide by.

        The keys are ``architectures``, ``model_types``, ``pipeline_tags`` and ``tags`` (lists of
        texts), and ``text`` (prose about the model).
        """
        return None

    def check(self, path: str) -> List[str] | None:  # noqa: UP006
        """A sentence for each thing that is wrong with the model; each becomes a problem."""
        return None


class ModelRegistryPlugin:
    """Makes models of what an external registry answers.

    Karen Admin asks the registry's endpoint itself, within its own limits; the plugin has no
    network. ``external_registries.json`` names it as ``"plugin": "module.Class"``.
    """

    version = ""
    label = ""

    def read_models(self, path: str) -> Any:
        """The models in an answer of the registry, which the file at ``path`` holds.

        Return a list of models, or ``{"models": […], "next": address of the next page}``, in the
        shape that ``docs/registries.md`` describes.
        """
        raise NotImplementedError
