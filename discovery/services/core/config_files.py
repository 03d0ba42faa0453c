"""The current config files: reread when they change; the last valid version is kept.

A good file is copied to the data directory, so that the last good one also outlives a restart.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Generic, TypeVar

from django.conf import settings
from pydantic import BaseModel, ValidationError

from discovery import startup
from discovery.engine.classify.rules import CategorizationFile, CategorizationRules
from discovery.engine.core.config import (
    AccessControl,
    AccessFile,
    Discovery,
    DiscoveryFile,
    Downloads,
    Retention,
    Throttles,
    explain,
)
from discovery.engine.core.registries_config import RegistriesFile, RegistrySettings
from discovery.engine.memory import Machines
from discovery.engine.sidecars import json_file

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ConfigError:
    """An error in a config file.

    ``reason`` starts with the path inside the file where it has one.
    """

    file: str
    reason: str

    def __str__(self) -> str:
        return f"{self.file}: {self.reason}"


@dataclass(frozen=True, slots=True)
class _Loaded(Generic[T]):
    path: Path
    stamp: tuple[int, int, int] | None
    value: T
    faults: tuple[ConfigError, ...] = ()


class ConfigFile(Generic[T]):
    """One file of the config directory.

    ``parse`` turns a validated document into the value; ``{}`` gives the defaults. ``secrets`` are
    keys whose values are never kept anywhere but in the file itself.
    """

    def __init__(
        self,
        name: str,
        shape: type[BaseModel],
        parse: Callable[[Any], T],
        default: Path | None = None,
        secrets: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.secrets = secrets
        self.shape = shape
        self.parse = parse
        self.default = default
        self._cached: _Loaded[T] | None = None
        self._lock = Lock()

    @property
    def path(self) -> Path:
        return Path(settings.CONFIG_DIR) / self.name

    def value(self) -> T:
        """In force now; a change of the file takes effect with the next call."""
        return self._load().value

    def faults(self) -> tuple[ConfigError, ...]:
        """Return why the current file is not used; empty when it is valid."""
        return self._load().faults

    def forget(self) -> None:
        self._cached = None

    def without_secrets(self, document: Any) -> Any:
        """A document of this file as it may be kept elsewhere."""
        if isinstance(document, dict):
            return {
                key: self.without_secrets(value)
                for key, value in document.items()
                if key not in self.secrets
            }
        if isinstance(document, list):
            return [self.without_secrets(each) for each in document]
        return document

    def validate(self, raw: bytes) -> tuple[T | None, tuple[ConfigError, ...]]:
        """(value, faults) of a document that may become this file. Never raises."""
        parsed = json_file.parse_object(raw)
        if parsed.fault:
            return None, (ConfigError(self.name, parsed.fault),)
        try:
            return self.parse(self.shape.model_validate(parsed.data)), ()
        except ValidationError as error:
            return None, tuple(ConfigError(self.name, reason) for reason in explain(error))

    def _load(self) -> _Loaded[T]:
        path = self.path
        with self._lock:
            try:
                status = path.stat()
                stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
            except FileNotFoundError:
                stamp = None
            except OSError as error:
                return self._refused(path, None, f"it cannot be read: {error.strerror}")
            cached = self._cached
            if cached is None or cached.path != path or cached.stamp != stamp:
                cached = self._cached = self._read(path, stamp)
            return cached

    def _read(self, path: Path, stamp: tuple[int, int, int] | None) -> _Loaded[T]:
        if stamp is None:
            return _Loaded(path, None, self._defaults())
        try:
            raw = path.read_bytes()
        except OSError as error:
            return self._refused(path, stamp, f"it cannot be read: {error.strerror}")
        value, faults = self.validate(raw)
        if value is None:
            return _Loaded(path, stamp, self._last_good(path), faults)
        self._keep(raw)
        return _Loaded(path, stamp, value)

    def _refused(self, path: Path, stamp: tuple[int, int, int] | None, reason: str) -> _Loaded[T]:
        return _Loaded(path, stamp, self._last_good(path), (ConfigError(self.name, reason),))

    def _defaults(self) -> T:
        document = (
            json.loads(self.default.read_bytes()) if self.default and self.default.exists() else {}
        )
        return self.parse(self.shape.model_validate(document))

    @property
    def _copy(self) -> Path:
        return Path(settings.DATA_DIR) / "config" / self.name

    def _last_good(self, path: Path) -> T:
        if self._cached is not None and self._cached.path == path:
            return self._cached.value
        try:
            return self.parse(self.shape.model_validate(json.loads(self._copy.read_bytes())))
        # ValidationError is a ValueError: no good copy from before, so the defaults.
        except (OSError, ValueError):
            return self._defaults()

    def _keep(self, raw: bytes) -> None:
        copy = self._copy
        if self.secrets:
            raw = json.dumps(self.without_secrets(json_file.parse(raw).data)).encode()
        try:
            if copy.exists() and copy.read_bytes() == raw:
                return
            write_atomically(copy, raw, private=True)
        except OSError:
            # A data directory that cannot be written is reported by the commands that need it; the
            # file itself is good.
            return


def write_atomically(path: Path, raw: bytes, *, private: bool = False) -> None:
    """Readers see the old file or the new one, never half of it. Raises ``OSError``.

    ``private``: for the user of this process alone; else a new file is open to those that the umask
    of who started it allows.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(raw)
    temporary.chmod(0o600 if private else startup.public_mode(path))
    temporary.replace(path)


def _whole(document: DiscoveryFile) -> DiscoveryFile:
    return document


def _rules(document: CategorizationFile) -> CategorizationRules:
    return document.categorization_rules


def _access(document: AccessFile) -> AccessControl:
    return document.access_control


def _registries(document: RegistriesFile) -> dict[str, RegistrySettings]:
    return document.external_registries


#: The rules that ship with the product apply where the config directory has none of its own.
SHIPPED_RULES = Path(__file__).resolve().parents[3] / "config" / "model_categorization.json"

DISCOVERY = ConfigFile("model_discovery.json", DiscoveryFile, _whole)
RULES = ConfigFile("model_categorization.json", CategorizationFile, _rules, SHIPPED_RULES)
ACCESS = ConfigFile("access_control.json", AccessFile, _access)
REGISTRIES = ConfigFile(
    "external_registries.json", RegistriesFile, _registries, secrets=("api_key",)
)
FILES: tuple[ConfigFile[Any], ...] = (DISCOVERY, RULES, ACCESS, REGISTRIES)


def discovery() -> Discovery:
    """Discovery settings in force now."""
    return DISCOVERY.value().discovery


def machines() -> Machines:
    """Return the other machines that memory needs are compared with."""
    return DISCOVERY.value().machines


def retention() -> Retention:
    return DISCOVERY.value().retention


def throttles() -> Throttles:
    return DISCOVERY.value().throttles


def downloads() -> Downloads:
    return DISCOVERY.value().downloads


def rules() -> CategorizationRules:
    """Categorization rules in force now."""
    return RULES.value()


def registries() -> dict[str, RegistrySettings]:
    """External registries by name; none is asked anything unless it is enabled."""
    return REGISTRIES.value()


def faults() -> tuple[ConfigError, ...]:
    """Of every config file."""
    return tuple(fault for file in FILES for fault in file.faults())
