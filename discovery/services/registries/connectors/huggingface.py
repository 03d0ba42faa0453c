"""The Hugging Face Hub and its mirrors, by ``huggingface_hub``.

https://huggingface.co/docs/hub/api. Every request of the library passes the filter of outgoing
calls.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import httpx2
import huggingface_hub
from huggingface_hub import HfApi, hf_hub_url
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from huggingface_hub.hf_api import ModelInfo
from huggingface_hub.utils._http import hf_request_event_hook

from discovery.engine.core.service_words import RegistryFault
from discovery.engine.core.text import clean, positive, strings
from discovery.services.integrations import filtered_client
from discovery.services.integrations.http_client import REGISTRIES
from discovery.services.registries.answers import status_fault, streamed, translated, unreadable
from discovery.services.registries.configured import Configured
from discovery.services.registries.protocol import (
    MAX_CARD,
    MAX_FILES,
    RegistryError,
    RemoteFile,
    RemoteModel,
    RemoteStream,
)

#: What a list tells of each model.
EXPAND: list[Any] = [
    "author", "cardData", "downloads", "gated", "lastModified", "library_name", "likes",
    "pipeline_tag", "private", "sha", "tags",
]  # fmt: skip
#: Models of one author from which on a list of theirs is asked for instead of each.
WORTH_A_LIST = 4
#: The most that the Hub puts on a page.
PAGE = 1_000


class HuggingFace:
    """One registry with the Hub's API."""

    def __init__(self, registry: Configured) -> None:
        self.name, self.label = registry.name, registry.label
        self.requests = 0
        self._key = registry.key().value
        self._endpoint = registry.endpoint
        self._api = HfApi(
            endpoint=self._endpoint, token=self._key or False, library_name="karen-admin"
        )
        self._files: httpx2.Client | None = None

    def search(self, text: str, limit: int = 50) -> list[RemoteModel]:
        with self._asking("models"):
            found = self._api.list_models(
                search=text or None, sort="downloads", limit=limit, expand=EXPAND
            )
            return [self._told(info) for info in found]

    def summaries(self, remote_ids: Iterable[str]) -> Iterator[RemoteModel]:
        by_author: dict[str, set[str]] = defaultdict(set)
        for remote_id in remote_ids:
            by_author[remote_id.rpartition("/")[0]].add(remote_id)
        for author, wanted in by_author.items():
            if not author or len(wanted) < WORTH_A_LIST:
                continue
            with self._asking("models"):
                infos = list(self._api.list_models(author=author, limit=PAGE, expand=EXPAND))
            yield from (self._told(info) for info in infos if info.id in wanted)

    def model(self, remote_id: str, revision: str = "") -> RemoteModel:
        with self._asking(f"model {clean(remote_id, 100)}"):
            info = self._api.model_info(remote_id, revision=revision or None, files_metadata=True)
            return self._told(info)

    def card(self, model: RemoteModel) -> str:
        file = next((file for file in model.files or () if file.path == "README.md"), None)
        if file is None:
            return ""
        with self.open(model, file) as stream:
            raw = bytearray()
            for chunk in stream.chunks:
                raw += chunk
                if len(raw) > MAX_CARD * 4:
                    break
        return clean(raw.decode("utf-8", "replace"), MAX_CARD)

    @contextmanager
    def open(self, model: RemoteModel, file: RemoteFile, start: int = 0) -> Iterator[RemoteStream]:
        url = hf_hub_url(
            model.remote_id,
            file.path,
            revision=model.revision or None,
            endpoint=self._endpoint,
        )
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        self.requests += 1
        if self._files is None:
            self._files = filtered_client.client(REGISTRIES, filtered_client.UNLIMITED)
        opened: AbstractContextManager[RemoteStream] = streamed(
            self._files, url, headers, start, f"{clean(file.path, 200)} of {model.remote_id}"
        )
        with opened as stream:
            yield stream

    def close(self) -> None:
        if self._files is not None:
            self._files.close()

    @contextmanager
    def _asking(self, about: str) -> Iterator[None]:
        """One question; what the library raises becomes a ``RegistryError``."""
        self.requests += 1
        with translated():
            try:
                yield
            except (HfHubHTTPError, OfflineModeIsEnabled) as error:
                raise self._fault(error, about) from error
            except HFValidationError as error:
                told = f"“{clean(about.removeprefix('model '), 100)}” is not a name of the Hub."
                raise RegistryError(RegistryFault.NAME, told) from error
            except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
                told = "It answers with something that is not the Hub’s API: is the address right?"
                raise unreadable(told) from error

    def _fault(self, error: HfHubHTTPError | OfflineModeIsEnabled, about: str) -> RegistryError:
        if isinstance(error, OfflineModeIsEnabled):
            told = "HF_HUB_OFFLINE is set in the server's environment: nothing is asked."
            return RegistryError(RegistryFault.SETTINGS, told)
        if isinstance(error, GatedRepoError):
            told = f"The {about} is gated, and the key may not see it: ask for access on its page."
            return RegistryError(RegistryFault.GATED, told)
        if isinstance(error, RepositoryNotFoundError):
            hint = "" if self._key else " Private models need a key."
            return RegistryError(RegistryFault.GONE, f"It has no {about}.{hint}")
        status = error.response.status_code
        fault = status_fault(status, about, with_key=bool(self._key))
        return fault or unreadable(f"It answers with HTTP {status}.")

    def _told(self, info: ModelInfo) -> RemoteModel:
        card: dict[str, Any] = vars(info.card_data) if info.card_data is not None else {}
        tags = strings(info.tags)
        files = None if info.siblings is None else tuple(_files(info))
        return RemoteModel(
            remote_id=clean(info.id, 300),
            revision=clean(info.sha or "", 64),
            name=info.id.rpartition("/")[2],
            author=clean(info.author or info.id.rpartition("/")[0], 200),
            license=_license(card, tags),
            tags=tuple(tag for tag in tags if ":" not in tag),
            languages=tuple(strings(card.get("language"))),
            base_model=next(iter(strings(card.get("base_model"))), ""),
            task=clean(info.pipeline_tag or "", 100),
            library=clean(info.library_name or "", 100),
            downloads=_count(info.downloads),
            likes=_count(info.likes),
            updated_at=info.last_modified,
            gated=str(info.gated) if info.gated in ("auto", "manual") else "",
            is_private=info.private is True,
            url=f"{self._endpoint}/{info.id}",
            files=files,
        )


def _files(info: ModelInfo) -> Iterator[RemoteFile]:
    for sibling in (info.siblings or [])[:MAX_FILES]:
        lfs = sibling.lfs
        yield RemoteFile(
            path=str(sibling.rfilename),
            size=_count(sibling.size if sibling.size is not None else lfs and lfs.size),
            sha256=_digest(lfs.sha256 if lfs else "", 64),
            git_sha1=_digest(sibling.blob_id, 40),
        )


def _license(card: dict[str, Any], tags: list[str]) -> str:
    """``license: other`` has its name beside it."""
    told = next(iter(strings(card.get("license"))), "")
    if not told:
        told = next((t.removeprefix("license:") for t in tags if t.startswith("license:")), "")
    named = card.get("license_name")
    return clean(named if told == "other" and isinstance(named, str) and named else told, 200)


def _digest(value: Any, length: int) -> str:
    text = value.lower() if isinstance(value, str) else ""
    return text if re.fullmatch(f"[0-9a-f]{{{length}}}", text) else ""


def _count(value: Any) -> int | None:
    return 0 if value == 0 else positive(value)


def _client() -> httpx2.Client:
    """What the library asks with."""
    client = filtered_client.client(REGISTRIES)
    client.event_hooks = {"request": [hf_request_event_hook]}
    return client


huggingface_hub.set_client_factory(_client)
