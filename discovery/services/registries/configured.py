"""The registries of ``external_registries.json``: their settings, keys and connectors."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path

from discovery.engine.core.addresses import read
from discovery.engine.core.registries_config import PLACEHOLDER, RegistrySettings
from discovery.services.core import config_files
from discovery.services.integrations.http_client import REGISTRIES, permitted
from discovery.services.registries.protocol import Registry

#: Address of each kind, where neither the file nor the environment names one.
ENDPOINTS = {
    "huggingface": "https://huggingface.co",
    "ollama": "https://registry.ollama.ai",
}
LABELS = {
    "huggingface": "Hugging Face Hub",
    "model_zoo": "Model Zoo",
    "ollama": "Ollama",
    "folder": "Folder",
    "plugin": "Plugin",
}
#: Longer files hold no key.
MAX_KEY = 4_000


@dataclass(frozen=True, slots=True)
class Key:
    """A key and where it comes from. ``note`` is what to say of it; ``value`` is never shown."""

    value: str
    source: str
    note: str = ""

    def __repr__(self) -> str:
        return f"Key(from {self.source or 'nowhere'})"


@dataclass(frozen=True, slots=True)
class Configured:
    """A registry of the config file, with what the environment says."""

    name: str
    settings: RegistrySettings

    @property
    def label(self) -> str:
        label = LABELS[self.settings.kind]
        return label if self.name == self.settings.kind else f"{self.name} ({label})"

    @property
    def endpoint(self) -> str:
        """Its address, without a slash at the end."""
        of_environment = os.environ.get("HF_ENDPOINT", "") if self._is_the_hub else ""
        chosen = of_environment.strip() or self.settings.endpoint
        return (chosen or ENDPOINTS.get(self.settings.kind, "")).rstrip("/")

    @property
    def place(self) -> str:
        """Where it is, for people: its address, or its folder."""
        return self.settings.path if self.settings.kind == "folder" else self.endpoint

    @property
    def _is_the_hub(self) -> bool:
        """The variables of the Hub are about this one, not about others of its kind."""
        return self.name == "huggingface"

    def key(self) -> Key:
        """``HF_TOKEN`` for the Hub, else the file that ``api_key_file`` names, else ``api_key``."""
        if self._is_the_hub and (token := os.environ.get("HF_TOKEN", "").strip()):
            return self._sendable(Key(token, "HF_TOKEN"))
        if path := self.settings.api_key_file:
            return self._sendable(_of_file(path))
        if self.settings.has_placeholder:
            note = f"“{PLACEHOLDER}” stands in place of a key and counts as none."
            return Key("", "", note)
        if key := self.settings.key:
            return self._sendable(Key(key, config_files.REGISTRIES.name))
        return Key("", "")

    def _sendable(self, key: Key) -> Key:
        """A key is not sent where everybody on the way can read it."""
        if not key.value or not self.endpoint.startswith("http://"):
            return key
        try:
            host = read(self.endpoint).host
        except ValueError:
            return Key("", key.source, "The key is not sent: the address is wrong.")
        if host in permitted(REGISTRIES):
            return key
        note = (
            f"The key is not sent to {host} over http://: use https://, or name the host in"
            f" {REGISTRIES}."
        )
        return Key("", key.source, note)

    def with_patterns(self, include: Iterable[str], exclude: Iterable[str]) -> Configured:
        """The same with other patterns, to try them."""
        patterns = {"include": tuple(include), "exclude": tuple(exclude)}
        return replace(self, settings=self.settings.model_copy(update=patterns))

    def wants(self, remote_id: str) -> bool:
        """Whether ``include`` and ``exclude`` leave a remote model in."""
        include, exclude = self.settings.include, self.settings.exclude
        return (not include or _matches(remote_id, include)) and not _matches(remote_id, exclude)


def _matches(remote_id: str, patterns: tuple[str, ...]) -> bool:
    folded = remote_id.casefold()
    return any(fnmatchcase(folded, pattern.casefold()) for pattern in patterns)


def _of_file(path: str) -> Key:
    try:
        with Path(path).expanduser().open("rb") as file:
            text = file.read(MAX_KEY).decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        told = getattr(error, "strerror", None) or "it is not text"
        return Key("", path, f"The key cannot be read from {path}: {told}.")
    if not text.isascii() or len(text.split()) != 1:
        return Key("", path, f"{path} does not hold a key: one word was expected.")
    return Key(text, path)


def configured() -> dict[str, Configured]:
    """All of the file, and those of the guide where it does not name them; by name."""
    found = config_files.registries()
    defaults = {
        name: RegistrySettings(kind=name)
        for name in ("huggingface", "model_zoo", "ollama")
        if name not in found
    }
    return {name: Configured(name, each) for name, each in {**found, **defaults}.items()}


def connect(registry: Configured) -> Registry:
    """The connector of a registry; nothing is asked yet."""
    return _connectors()[registry.settings.kind](registry)


def _connectors() -> dict[str, Callable[[Configured], Registry]]:
    """By kind. Imported when one is asked for: the Hub's library is large."""
    from discovery.services.registries.connectors.folder import Folder
    from discovery.services.registries.connectors.huggingface import HuggingFace
    from discovery.services.registries.connectors.model_zoo import ModelZoo
    from discovery.services.registries.connectors.ollama import Ollama
    from discovery.services.registries.connectors.plugin import PluginRegistry

    return {
        "huggingface": HuggingFace,
        "model_zoo": ModelZoo,
        "ollama": Ollama,
        "folder": Folder,
        "plugin": PluginRegistry,
    }
