"""The config files, as frozen values. A file that is missing means these defaults; one that is wrong is explained, never half used."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from discovery.engine.memory import Machines
from discovery.engine.names import FORMAT_ALIASES

FORMATS = (
    "safetensors", "pytorch", "onnx", "gguf", "ggml", "openvino", "tensorflow", "keras", "tflite", "flax", "coreml", "ctranslate2",
    "tensorrt", "nemo", "rust",
)  # fmt: skip

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


class Discovery(BaseModel):
    """``discovery`` of ``model_discovery.json``. Patterns are globs on a name, or on the path below the root when they hold a ``/``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scan_interval_minutes: Annotated[int, Field(ge=0, le=525_600)] = 30
    auto_refresh_on_startup: bool = True
    scan_subdirectories: bool = True
    max_scan_depth: Annotated[int, Field(ge=1, le=64)] = 5
    supported_formats: tuple[str, ...] = FORMATS
    exclude_patterns: tuple[Annotated[str, Field(min_length=1, max_length=500)], ...] = EXCLUDED
    roots: tuple[Annotated[str, Field(min_length=1, max_length=4096)], ...] = ()

    @field_validator("supported_formats")
    @classmethod
    def _known_formats(cls, formats: tuple[str, ...]) -> tuple[str, ...]:
        known = tuple(FORMAT_ALIASES.get(name.lower(), name.lower()) for name in formats)
        unknown = sorted(set(known) - set(FORMATS))
        if unknown:
            raise ValueError(
                f"{unknown[0]!r} is not a format; choose from {', '.join((*FORMATS, *FORMAT_ALIASES))}"
            )
        return known


class DiscoveryFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    discovery: Discovery = Discovery()
    machines: Machines = Machines({})


def explain(error: ValidationError) -> list[str]:
    """``discovery.max_scan_depth: …``, one sentence for each fault."""
    return [
        f"{'.'.join(str(part) for part in fault['loc']) or 'the file'}: {_sentence(fault)}"
        for fault in error.errors()
    ]


def _sentence(fault: Any) -> str:
    if fault["type"] == "extra_forbidden":
        return "this key is not known here; check its spelling"
    message: str = fault["msg"].removeprefix("Value error, ")
    return message[:1].lower() + message[1:]
