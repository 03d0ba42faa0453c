"""A folder of JSON files, for sites without a way out: each holds one model or many."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from discovery.engine.core.paths import is_under
from discovery.engine.core.service_words import RegistryFault
from discovery.engine.core.text import clean
from discovery.engine.sidecars import json_file
from discovery.services.machine import reach
from discovery.services.machine.root_probes import RootSilent
from discovery.services.registries.answers import CHUNK, unreadable
from discovery.services.registries.configured import Configured
from discovery.services.registries.connectors.catalog import Catalog
from discovery.services.registries.connectors.json_models import Described, models_of
from discovery.services.registries.protocol import (
    RegistryError,
    RemoteFile,
    RemoteModel,
    RemoteStream,
)

#: JSON files that are read, and seconds for all of them.
MAX_LISTS, PATIENCE = 10_000, 60.0


class Folder(Catalog):
    def __init__(self, registry: Configured) -> None:
        super().__init__(registry)
        self._folder = Path(registry.settings.path).expanduser()

    def read(self) -> Iterator[Described]:
        key = ("registry folder", str(self._folder))
        try:
            texts = reach.elsewhere(key, self._texts, str(self._folder), longest=PATIENCE)
        except RootSilent as error:
            raise RegistryError(RegistryFault.UNREACHABLE, str(error)) from error
        except OSError as error:
            told = f"{self._folder} cannot be read: {error.strerror}."
            raise RegistryError(RegistryFault.UNREACHABLE, told) from error
        for name, raw in texts:
            found = json_file.parse(raw)
            if found.fault:
                raise unreadable(f"{clean(name, 200)} cannot be read: {found.fault}.")
            yield from models_of(found.data)

    def _texts(self) -> list[tuple[str, bytes]]:
        names = sorted(path for path in self._folder.iterdir() if path.suffix == ".json")
        found = []
        for path in names[:MAX_LISTS]:
            with path.open("rb") as file:
                found.append((path.name, file.read(json_file.MAX_BYTES + 1)))
        return found

    @contextmanager
    def open(self, model: RemoteModel, file: RemoteFile, start: int = 0) -> Iterator[RemoteStream]:
        """Files lie in the folder; ``url`` is their path in it where that is not their own."""
        about = f"{clean(file.path, 200)} of {clean(model.remote_id, 200)}"
        home = os.path.realpath(self._folder)
        place = os.path.realpath(self._folder / (file.url or file.path))
        if not is_under(place, home):
            raise RegistryError(RegistryFault.REFUSED, f"{about} is not in the folder.")
        try:
            opened = Path(place).open("rb")  # noqa: SIM115  (closed below)
        except OSError as error:
            told = f"{about} cannot be read: {error.strerror}."
            raise RegistryError(RegistryFault.GONE, told) from error
        with opened:
            size = os.fstat(opened.fileno()).st_size
            opened.seek(start)
            yield RemoteStream(start, size, iter(lambda: opened.read(CHUNK), b""))

    def close(self) -> None:
        return None
