"""An endpoint in the style of a model zoo: ``GET {endpoint}/models`` is a list of models.

Pages follow ``next``. ``docs/registries.md`` has the shape.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urljoin

from discovery.engine.core.text import clean
from discovery.services.integrations import filtered_client
from discovery.services.integrations.http_client import REGISTRIES
from discovery.services.registries.answers import parsed, status_fault, streamed, translated
from discovery.services.registries.configured import Configured
from discovery.services.registries.connectors.catalog import Catalog
from discovery.services.registries.connectors.json_models import (
    MAX_MODELS,
    Described,
    models_of,
    next_of,
)
from discovery.services.registries.protocol import RemoteFile, RemoteModel, RemoteStream

#: Pages that are turned.
MAX_PAGES = 200


class ModelZoo(Catalog):
    def __init__(self, registry: Configured) -> None:
        super().__init__(registry)
        self._endpoint = registry.endpoint
        self._key = registry.key().value
        self._client = filtered_client.client(REGISTRIES)
        self._files = filtered_client.client(REGISTRIES, filtered_client.UNLIMITED)

    @property
    def first(self) -> str:
        """Where the first page is."""
        return f"{self._endpoint}/models"

    def understood(self, content: bytes) -> Any:
        """The document of an answer, in the shape of ``json_models``."""
        return parsed(content)

    def read(self) -> Iterator[Described]:
        address, count = self.first, 0
        for _ in range(MAX_PAGES):
            self.requests += 1
            with translated():
                response = self._client.get(address, headers=self._headers(address))
            if fault := status_fault(
                response.status_code, "list of models", with_key=bool(self._key)
            ):
                raise fault
            document = self.understood(response.content)
            for each in models_of(document):
                yield each
                count += 1
            following = next_of(document)
            if not following or count >= MAX_MODELS:
                return
            address = urljoin(address, following)

    @contextmanager
    def open(self, model: RemoteModel, file: RemoteFile, start: int = 0) -> Iterator[RemoteStream]:
        own = f"models/{quote(model.remote_id, safe='')}/files/{quote(file.path)}"
        url = urljoin(f"{self._endpoint}/", file.url or own)
        self.requests += 1
        about = f"{clean(file.path, 200)} of {clean(model.remote_id, 200)}"
        with streamed(self._files, url, self._headers(url), start, about) as stream:
            yield stream

    def close(self) -> None:
        self._client.close()
        self._files.close()

    def _headers(self, url: str) -> dict[str, str]:
        """The key goes to the endpoint alone, wherever a page or a file is."""
        is_own = _origin(url) == _origin(self._endpoint)
        return {"Authorization": f"Bearer {self._key}"} if self._key and is_own else {}


def _origin(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}".lower()
