"""``external_registries.json``: the registries outside that models are compared with."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from discovery.engine.core.addresses import read

#: What the guide writes where the key belongs: it is not one.
PLACEHOLDER = "your_api_key"

Kind = Literal["huggingface", "model_zoo", "ollama", "folder", "plugin"]
KINDS: tuple[Kind, ...] = ("huggingface", "model_zoo", "ollama", "folder", "plugin")

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")
#: What stands in addresses where the name of a registry does.
_RESERVED = frozenset({"downloads", "matches", "updates"})

_Pattern = Annotated[str, Field(min_length=1, max_length=300)]


class RegistrySettings(BaseModel):
    """One registry. It is not asked anything unless ``enabled``.

    ``include`` and ``exclude`` are globs on what the registry calls its models (``meta-llama/*``);
    ``sync_interval_hours`` of 0 leaves syncs to people. ``plugin`` is the class of a plugin.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Kind
    enabled: bool = False
    endpoint: Annotated[str, Field(max_length=1000)] = ""
    path: Annotated[str, Field(max_length=1000)] = ""
    plugin: Annotated[str, Field(max_length=300, pattern=r"^([^\W\d]\w*(\.[^\W\d]\w*)+)?$")] = ""
    api_key: SecretStr = SecretStr("")
    api_key_file: Annotated[str, Field(max_length=1000)] = ""
    sync_interval_hours: Annotated[int, Field(ge=0, le=8_760)] = 24
    auto_download: bool = False
    include: Annotated[tuple[_Pattern, ...], Field(max_length=200)] = ()
    exclude: Annotated[tuple[_Pattern, ...], Field(max_length=200)] = ()

    @property
    def key(self) -> str:
        """The key in the file; empty where there is none, or the guide's placeholder."""
        text = self.api_key.get_secret_value().strip()
        return "" if text == PLACEHOLDER else text

    @property
    def has_placeholder(self) -> bool:
        return self.api_key.get_secret_value().strip() == PLACEHOLDER

    @field_validator("endpoint")
    @classmethod
    def _is_address(cls, text: str) -> str:
        if not text:
            return text
        try:
            address = read(text)
        except ValueError as error:
            raise ValueError(f"the address {error}") from error
        if address.query or "@" in text.partition("://")[2].partition("/")[0]:
            raise ValueError("the address must hold only scheme, host and path")
        return text.rstrip("/")

    @field_validator("api_key")
    @classmethod
    def _is_one_word(cls, key: SecretStr) -> SecretStr:
        text = key.get_secret_value()
        if len(text) > 1_000 or not text.isascii() or not text.isprintable() or " " in text.strip():
            raise ValueError("the key must be one word of at most 1,000 ASCII characters")
        return key

    @model_validator(mode="after")
    def _is_whole(self) -> RegistrySettings:
        if self.enabled and self.kind == "model_zoo" and not self.endpoint:
            raise ValueError("it is enabled without an endpoint: say the address of its API")
        if self.enabled and self.kind == "folder" and not self.path:
            raise ValueError("it is enabled without a path: say the folder of its JSON files")
        if self.enabled and self.kind == "plugin" and not (self.plugin and self.endpoint):
            raise ValueError("it is enabled without a plugin and an endpoint: say both")
        return self


class RegistriesFile(BaseModel):
    """Keys of ``external_registries`` are names; one that names a kind needs no ``kind``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    external_registries: dict[str, RegistrySettings] = Field(default_factory=dict)

    @field_validator("external_registries", mode="before")
    @classmethod
    def _with_kinds(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        for name in value:
            if not _NAME.fullmatch(str(name)) or name in _RESERVED:
                raise ValueError(
                    f"{str(name)[:60]!r} cannot be the name of a registry: use lower-case letters,"
                    " digits, - and _"
                )
        return {
            name: {"kind": name, **entry}
            if isinstance(entry, dict) and name in KINDS and "kind" not in entry
            else entry
            for name, entry in value.items()
        }
