"""Registries that tell of all their models in one list: an endpoint, or a folder of JSON."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from functools import cached_property

from discovery.engine.core.service_words import RegistryFault
from discovery.engine.core.text import clean
from discovery.services.registries.configured import Configured
from discovery.services.registries.connectors.json_models import Described
from discovery.services.registries.protocol import RegistryError, RemoteModel


class Catalog(ABC):
    """The list is read once, when it is first asked for."""

    def __init__(self, registry: Configured) -> None:
        self.name, self.label = registry.name, registry.label
        self.requests = 0

    @abstractmethod
    def read(self) -> Iterator[Described]:
        """All models. Raises ``RegistryError``."""

    @cached_property
    def known(self) -> dict[str, Described]:
        return {each.model.remote_id: each for each in self.read()}

    def search(self, text: str, limit: int = 50) -> list[RemoteModel]:
        words = text.casefold().split()
        found = [
            each.model
            for each in self.known.values()
            if all(word in _searched(each.model) for word in words)
        ]
        return sorted(found, key=lambda model: -(model.downloads or 0))[:limit]

    def summaries(self, remote_ids: Iterable[str]) -> Iterator[RemoteModel]:
        for remote_id in remote_ids:
            if remote_id in self.known:
                yield self.known[remote_id].model

    def model(self, remote_id: str, revision: str = "") -> RemoteModel:
        found = self.known.get(remote_id)
        if found is None or (revision and revision != found.model.revision):
            told = f"It has no model {clean(remote_id, 100)}" + (
                f" at {clean(revision, 40)}." if found else "."
            )
            raise RegistryError(RegistryFault.GONE, told)
        return found.model

    def card(self, model: RemoteModel) -> str:
        found = self.known.get(model.remote_id)
        return found.card if found else ""


def _searched(model: RemoteModel) -> str:
    return " ".join((model.remote_id, model.name, model.author, *model.tags)).casefold()
