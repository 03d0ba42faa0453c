"""The config files, as frozen values.

A file that is missing means these defaults; one that is wrong is explained, never half used.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from discovery.engine.core import format_registry
from discovery.engine.core.machines import Machines

#: What a download or an editor leaves behind, besides the guide's own list.
EXCLUDED = (
    "*.tmp",
    "*.lock",
    "*.part",
    "*.incomplete",
    "*.crdownload",
    "*.aria2",
    ".git",
    "__pycache__",
)


class ConfiguredRoot(BaseModel):
    """A folder to scan.

    The same ``name`` with another path means that the folder was moved: its models move with it.
    ``read_only``: the program writes nothing below it. ``interval_minutes`` and ``max_depth``
    replace ``scan_interval_minutes`` and ``max_scan_depth`` for this root.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Annotated[str, Field(min_length=1, max_length=1000)]
    name: Annotated[str, Field(max_length=200)] = ""
    enabled: bool = True
    read_only: bool = False
    interval_minutes: Annotated[int, Field(ge=1, le=525_600)] | None = None
    max_depth: Annotated[int, Field(ge=1, le=64)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_path(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"path": value}
        return value

    @field_validator("name")
    @classmethod
    def _one_line(cls, name: str) -> str:
        if not name.isprintable():
            raise ValueError("must be one line of text")
        return name.strip()


#: Dotted path of a plugin's class.
PluginName = Annotated[str, Field(max_length=300, pattern=r"^[^\W\d]\w*(\.[^\W\d]\w*)+$")]


class Discovery(BaseModel):
    """``discovery`` of ``model_discovery.json``.

    Patterns are globs on a name, or on the path below the root when they hold a ``/``.
    ``plugins`` come in the order in which they are asked.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scan_interval_minutes: Annotated[int, Field(ge=0, le=525_600)] = 30
    auto_refresh_on_startup: bool = True
    scan_subdirectories: bool = True
    max_scan_depth: Annotated[int, Field(ge=1, le=64)] = 5
    supported_formats: tuple[str, ...] = Field(default_factory=format_registry.names)
    exclude_patterns: tuple[Annotated[str, Field(min_length=1, max_length=500)], ...] = EXCLUDED
    roots: tuple[ConfiguredRoot, ...] = ()
    plugins: tuple[PluginName, ...] = ()

    @property
    def supports(self) -> frozenset[str]:
        """Names of the formats that are read."""
        return frozenset(self.supported_formats)

    @field_validator("supported_formats")
    @classmethod
    def _known_formats(cls, formats: tuple[str, ...]) -> tuple[str, ...]:
        known = tuple(format_registry.ALIASES.get(name.lower(), name.lower()) for name in formats)
        unknown = sorted(set(known) - set(format_registry.names()))
        if unknown:
            raise ValueError(
                f"{unknown[0]!r} is not a format; choose from"
                f" {', '.join((*format_registry.names(), *format_registry.ALIASES))}"
            )
        return known

    @field_validator("roots")
    @classmethod
    def _one_root_a_name(cls, roots: tuple[ConfiguredRoot, ...]) -> tuple[ConfiguredRoot, ...]:
        names = [root.name for root in roots if root.name]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two roots are called {twice!r}: each needs a name of its own")
        return roots


Days = Annotated[int, Field(ge=1, le=3_650)]
#: ``600/s``, ``600/min``, ``600/h``; empty for no limit.
Rate = Annotated[str, Field(pattern=r"^([1-9]\d{0,8}/(s|min|h))?$")]


class Retention(BaseModel):
    """How long records of the past are stored."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    log_days: Days = 90
    log_entries: Annotated[int, Field(ge=1_000, le=10_000_000)] = 200_000
    webhook_days: Days = 30
    import_days: Days = 14


class Throttles(BaseModel):
    """How fast programs may ask, and how fast scheduled deep validations may read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    api_per_caller: Rate = "12000/min"
    api_per_address: Rate = "1200/min"
    deep_validation_mb_per_second: Annotated[int, Field(ge=1, le=100_000)] = 200


class Downloads(BaseModel):
    """What downloads from external registries may take.

    ``kb_per_second`` is of all downloads together, 0 for no limit; ``reserve_gb`` stays free on
    each file system; ``max_gb`` and ``max_files`` are of one download.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    at_once: Annotated[int, Field(ge=1, le=16)] = 2
    kb_per_second: Annotated[int, Field(ge=0, le=100_000_000)] = 0
    reserve_gb: Annotated[int, Field(ge=0, le=100_000)] = 2
    max_gb: Annotated[int, Field(ge=1, le=100_000)] = 1_000
    max_files: Annotated[int, Field(ge=1, le=20_000)] = 2_000


class DiscoveryFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    discovery: Discovery = Field(default_factory=Discovery)
    machines: Machines = Machines({})
    retention: Retention = Field(default_factory=Retention)
    throttles: Throttles = Field(default_factory=Throttles)
    downloads: Downloads = Field(default_factory=Downloads)


_Name = Annotated[str, Field(min_length=1, max_length=1000)]
_Visibility = Literal["PUBLIC", "RESTRICTED", "ADMIN_ONLY"]

#: Patterns of the access file, all lists together: each is held against every model.
MAX_PATTERNS = 500


class AccessControl(BaseModel):
    """``access_control`` of ``access_control.json``.

    A name is the ID or name of a model, the name of a collection or of a tag, or a pattern with
    ``*`` and ``?``. ``user_groups`` maps a group to the restricted models that it may see;
    ``default`` is the visibility of all other models.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    public_models: tuple[_Name, ...] = ()
    restricted_models: tuple[_Name, ...] = ()
    admin_only_models: tuple[_Name, ...] = ()
    user_groups: dict[str, tuple[_Name, ...]] = Field(default_factory=dict)
    default: _Visibility | None = None

    @field_validator("user_groups")
    @classmethod
    def _named_groups(cls, groups: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        for name in groups:
            if not name.strip() or len(name) > 150 or not name.isprintable():
                raise ValueError(
                    f"{name[:60]!r} cannot be the name of a group: use one line of 1 to 150"
                    " characters"
                )
        return groups

    @model_validator(mode="after")
    def _few_patterns(self) -> AccessControl:
        count = sum(is_pattern(name) for names in self.lists().values() for name in names)
        if count > MAX_PATTERNS:
            raise ValueError(
                f"{count:,} names hold * or ?: at most {MAX_PATTERNS} patterns are allowed"
            )
        return self

    def lists(self) -> dict[str, tuple[str, ...]]:
        """{path in the file: names}, such as ``user_groups/developers``."""
        return {
            "public_models": self.public_models,
            "restricted_models": self.restricted_models,
            "admin_only_models": self.admin_only_models,
            **{f"user_groups/{group}": names for group, names in self.user_groups.items()},
        }


def is_pattern(name: str) -> bool:
    return "*" in name or "?" in name


class AccessFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    access_control: AccessControl = Field(default_factory=AccessControl)


def explain(error: ValidationError) -> list[str]:
    """``discovery.max_scan_depth: …``, one sentence for each fault."""
    return [
        f"{'.'.join(str(part) for part in fault['loc']) or 'the file'}: {_sentence(fault)}"
        for fault in error.errors()
    ]


def _sentence(fault: Any) -> str:
    if fault["type"] == "extra_forbidden":
        return "this key is not known here; check its spelling"
    if fault["type"] == "string_pattern_mismatch" and "plugins" in fault["loc"]:
        return "write the dotted path of a class, like my_plugins.CustomPlugin"
    if fault["type"] == "string_pattern_mismatch":
        return "write a number and s, min or h, like 600/min, or nothing for no limit"
    message: str = fault["msg"].removeprefix("Value error, ")
    return message[:1].lower() + message[1:]
