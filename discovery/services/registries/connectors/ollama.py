"""Ollama's registry: manifests whose layers are named by their SHA-256.

https://github.com/ollama/ollama/blob/main/server/modelpath.go and the distribution specification
(https://github.com/opencontainers/distribution-spec). It has no search: a name is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

from discovery.engine.core.service_words import RegistryFault
from discovery.engine.core.text import clean, positive
from discovery.engine.sidecars import license_file
from discovery.services.integrations import filtered_client
from discovery.services.integrations.http_client import REGISTRIES
from discovery.services.registries.answers import (
    parsed,
    status_fault,
    streamed,
    translated,
    unreadable,
)
from discovery.services.registries.configured import Configured
from discovery.services.registries.protocol import (
    MAX_FILES,
    RegistryError,
    RemoteFile,
    RemoteModel,
    RemoteStream,
)

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
LICENSE = "application/vnd.ollama.image.license"
#: Bytes of a license that are looked at.
MAX_LICENSE = 64 << 10

_NAME = re.compile(r"(?:([\w.-]{1,80})/)?([\w.-]{1,80})(?::([\w.-]{1,80}))?", re.ASCII)
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


class Ollama:
    """IDs are ``name:tag`` as ``ollama pull`` takes them, ``space/name:tag`` for people's own."""

    def __init__(self, registry: Configured) -> None:
        self.name, self.label = registry.name, registry.label
        self.requests = 0
        self._endpoint = registry.endpoint
        self._key = registry.key().value
        self._client = filtered_client.client(REGISTRIES)
        self._files = filtered_client.client(REGISTRIES, filtered_client.UNLIMITED)

    def search(self, text: str, limit: int = 50) -> list[RemoteModel]:
        try:
            return [self.model(text.strip())][:limit]
        except RegistryError as error:
            if error.fault in (RegistryFault.GONE, RegistryFault.NAME):
                return []
            raise

    def summaries(self, remote_ids: Iterable[str]) -> Iterator[RemoteModel]:
        return iter(())

    def model(self, remote_id: str, revision: str = "") -> RemoteModel:
        space, name, tag = _parts(remote_id)
        own = "" if space == "library" else f"{space}/"
        full = f"{own}{name}:{tag}"
        response = self._get(f"/v2/{space}/{name}/manifests/{revision or tag}", f"model {full}")
        manifest = parsed(response.content)
        layers = manifest.get("layers") if isinstance(manifest, dict) else None
        if not isinstance(layers, list):
            raise unreadable("It answers with JSON that is not a manifest.")
        return RemoteModel(
            remote_id=full,
            revision=f"sha256:{sha256(response.content).hexdigest()}",
            name=name,
            author="" if space == "library" else space,
            license=self._license(space, name, layers),
            url=f"https://ollama.com/{own or 'library/'}{name}" if self._is_usual else "",
            files=tuple(_files(layers)),
        )

    @property
    def _is_usual(self) -> bool:
        return self._endpoint == "https://registry.ollama.ai"

    def card(self, model: RemoteModel) -> str:
        return ""

    @contextmanager
    def open(self, model: RemoteModel, file: RemoteFile, start: int = 0) -> Iterator[RemoteStream]:
        space, name, _ = _parts(model.remote_id)
        url = f"{self._endpoint}/v2/{space}/{name}/blobs/sha256:{file.sha256}"
        self.requests += 1
        about = f"{clean(file.path, 200)} of {model.remote_id}"
        with streamed(self._files, url, self._headers(), start, about) as stream:
            yield stream

    def close(self) -> None:
        self._client.close()
        self._files.close()

    def _license(self, space: str, name: str, layers: list[Any]) -> str:
        """The usual name of the license that a layer holds; empty where it is not a known one."""
        for layer in layers:
            if not isinstance(layer, dict) or layer.get("mediaType") != LICENSE:
                continue
            size, found = positive(layer.get("size")), _DIGEST.fullmatch(str(layer.get("digest")))
            if found and size and size <= MAX_LICENSE:
                response = self._get(f"/v2/{space}/{name}/blobs/{found[0]}", "license")
                return license_file.read(response.content) or ""
        return ""

    def _get(self, path: str, about: str) -> Any:
        self.requests += 1
        headers = {"Accept": MANIFEST, **self._headers()}
        with translated():
            response = self._client.get(f"{self._endpoint}{path}", headers=headers)
        if fault := status_fault(response.status_code, about, with_key=bool(self._key)):
            raise fault
        return response

    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._key}"} if self._key else {}


def _parts(remote_id: str) -> tuple[str, str, str]:
    """``llama3`` → (library, llama3, latest)."""
    match = _NAME.fullmatch(remote_id.removeprefix("library/"))
    if match is None or ".." in remote_id:
        told = f"“{clean(remote_id, 100)}” is not a name of Ollama’s: use name:tag."
        raise RegistryError(RegistryFault.NAME, told)
    return match[1] or "library", match[2], match[3] or "latest"


def _files(layers: list[Any]) -> Iterator[RemoteFile]:
    """Layers by the names that Ollama's store gives them."""
    for layer in layers[:MAX_FILES]:
        if isinstance(layer, dict) and (found := _DIGEST.fullmatch(str(layer.get("digest")))):
            yield RemoteFile(
                f"blobs/sha256-{found[1]}", size=positive(layer.get("size")), sha256=found[1]
            )
