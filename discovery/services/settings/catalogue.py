"""The settings on the pages, each declared once with its path, label and input."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from discovery.engine.core import format_registry


class Kind(StrEnum):
    """How a value is entered."""

    NUMBER = "number"
    SWITCH = "switch"
    TEXT = "text"
    LINES = "lines"
    CHOICES = "choices"


@dataclass(frozen=True, slots=True)
class Setting:
    """One value of ``model_discovery.json``.

    ``variable`` is an environment variable that overrides it.
    """

    section: str
    name: str
    kind: Kind
    label: str
    help: str
    unit: str = ""
    variable: str = ""

    @property
    def key(self) -> str:
        return f"{self.section}.{self.name}"

    @property
    def choices(self) -> tuple[str, ...]:
        return format_registry.names() if self.kind == Kind.CHOICES else ()

    def environment(self) -> str | None:
        """What the environment says, where it says anything."""
        return os.environ.get(self.variable) if self.variable else None

    def parse(self, text: str, many: list[str]) -> Any:
        """Parse the value that a form sent, according to its kind.

        The schema of the file checks it further. Raises ``ValueError`` with one sentence.
        """
        if self.kind == Kind.SWITCH:
            return bool(text)
        if self.kind == Kind.CHOICES:
            return [name for name in self.choices if name in many]
        if self.kind == Kind.LINES:
            return [line.strip() for line in text.splitlines() if line.strip()]
        if self.kind == Kind.TEXT:
            return text.strip()
        digits = text.strip()
        if not digits.isascii() or not digits.removeprefix("-").isdigit() or len(digits) > 12:
            raise ValueError("Enter a whole number.")
        return int(digits)


SCANNING = (
    Setting(
        "discovery",
        "scan_interval_minutes",
        Kind.NUMBER,
        "Scan every",
        "0 turns scheduled scans off.",
        unit="minutes",
    ),
    Setting(
        "discovery",
        "auto_refresh_on_startup",
        Kind.SWITCH,
        "Scan at start-up",
        "A scan begins when the server starts.",
    ),
    Setting(
        "discovery",
        "scan_subdirectories",
        Kind.SWITCH,
        "Scan subfolders",
        "Without it, only models directly in a root are found.",
    ),
    Setting(
        "discovery",
        "max_scan_depth",
        Kind.NUMBER,
        "Maximum depth",
        "Folders below a root that a scan goes down into, 1 to 64.",
        unit="levels",
    ),
    Setting(
        "discovery",
        "exclude_patterns",
        Kind.LINES,
        "Exclusions",
        "One pattern a line. A pattern with a slash is matched against the path below the root.",
    ),
    Setting(
        "discovery",
        "supported_formats",
        Kind.CHOICES,
        "Formats",
        "Files of other formats are counted, and not registered as models.",
    ),
)

LIMITS = (
    Setting(
        "retention", "log_days", Kind.NUMBER, "Keep log entries for", "1 to 3,650.", unit="days"
    ),
    Setting(
        "retention",
        "log_entries",
        Kind.NUMBER,
        "Keep at most",
        "The oldest log entries beyond this number are deleted.",
        unit="log entries",
    ),
    Setting(
        "retention",
        "webhook_days",
        Kind.NUMBER,
        "Keep webhook deliveries for",
        "1 to 3,650.",
        unit="days",
    ),
    Setting(
        "retention", "import_days", Kind.NUMBER, "Keep imported files for", "1 to 3,650.", "days"
    ),
    Setting(
        "throttles",
        "api_per_caller",
        Kind.TEXT,
        "API requests of one token or person",
        "A number and s, min or h, like 600/min. Leave empty for no limit.",
        variable="KAREN_API_RATE_TOKEN",
    ),
    Setting(
        "throttles",
        "api_per_address",
        Kind.TEXT,
        "API requests of one address without a token",
        "A number and s, min or h, like 600/min. Leave empty for no limit.",
        variable="KAREN_API_RATE_ADDRESS",
    ),
    Setting(
        "throttles",
        "deep_validation_mb_per_second",
        Kind.NUMBER,
        "Scheduled deep validation reads",
        "What is left of the disk's speed is free for loading models.",
        unit="MB per second",
    ),
    Setting("downloads", "at_once", Kind.NUMBER, "Download at once", "1 to 16.", unit="models"),
    Setting(
        "downloads",
        "kb_per_second",
        Kind.NUMBER,
        "All downloads together take",
        "0 for no limit.",
        unit="KB per second",
    ),
    Setting(
        "downloads",
        "reserve_gb",
        Kind.NUMBER,
        "Downloads leave free",
        "On each disk that they go to.",
        unit="GB",
    ),
    Setting("downloads", "max_gb", Kind.NUMBER, "Largest download", "Of one model.", unit="GB"),
    Setting(
        "downloads",
        "max_files",
        Kind.NUMBER,
        "Most files of a download",
        "Of one model, 1 to 20,000.",
        unit="files",
    ),
)

SETTINGS = {setting.key: setting for setting in (*SCANNING, *LIMITS)}
