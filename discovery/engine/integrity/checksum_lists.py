"""Lists of checksums as ``sha256sum`` writes them: ``<hex>  name`` (text), ``<hex> *name``
(binary), ``SHA256 (name) = <hex>`` (BSD, ``--tag``).

Source: GNU coreutils manual, "cksum output modes" and "md5sum invocation". A file ``X.sha256`` may
also hold nothing but the digest of ``X``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from discovery.engine.core.text import clean, plural

MAX_LIST_BYTES = 1 << 20
MAX_LINES = 20_000
#: Refused lines that are told apart; the rest is counted.
MAX_REASONS = 3

_GENERAL = frozenset({"sha256sums", "sha256sums.txt", "sha256sum", "sha256sum.txt"})
_GNU = re.compile(r"([0-9a-fA-F]{64})[ \t][ \t*]?(.+)")
_BSD = re.compile(r"SHA256 ?\((.+)\) ?= ?([0-9a-fA-F]{64})")
_BARE = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(slots=True)
class Sums:
    """Name (relative to the list's folder) → digest in small letters, and why other lines were not
    believed.
    """

    sums: dict[str, str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)

    @property
    def fault(self) -> str:
        more = len(self.refused) - MAX_REASONS
        return "; ".join(self.refused[:MAX_REASONS]) + (
            f"; and {plural(more, 'line')} more" if more > 0 else ""
        )


def is_list(name: str) -> bool:
    folded = name.lower()
    return folded in _GENERAL or folded.endswith((".sha256", ".sha256sum"))


def parse(raw: bytes, list_name: str) -> Sums:
    """The list of that name.

    Names that are escaped, absolute or lead out of the list's folder are refused, never followed.
    """
    told = Sums()
    if len(raw) > MAX_LIST_BYTES:
        told.refused.append(f"it is larger than {MAX_LIST_BYTES:,} bytes and was not read")
        return told
    lines = raw.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "backslashreplace").split("\n")
    for number, line in enumerate(lines[:MAX_LINES], start=1):
        text = line.removesuffix("\r")
        if text.strip() and not text.startswith("#") and (reason := _take(told, text, list_name)):
            told.refused.append(f"line {number:,} {reason}")
    if len(lines) > MAX_LINES:
        told.refused.append(f"the lines after the first {MAX_LINES:,} were not read")
    return told


def _take(told: Sums, text: str, list_name: str) -> str | None:
    """Adds what the line says; returns why it is refused."""
    if text.startswith("\\"):
        return (
            "gives an escaped name (with a line break or a backslash in it), which is not supported"
        )
    if match := _GNU.fullmatch(text):
        digest, name = match.groups()
    elif match := _BSD.fullmatch(text):
        name, digest = match.groups()
    elif _BARE.fullmatch(text.strip()) and list_name.lower().endswith((".sha256", ".sha256sum")):
        name, digest = list_name.rpartition(".")[0], text.strip()
    else:
        return "is not a SHA-256 checksum with a name"
    name = name.removeprefix("./")
    if "\0" in name:
        return "gives a name with a NUL byte"
    if name.startswith("/") or re.match(r"[A-Za-z]:[\\/]", name):
        return f"gives the absolute path {clean(name, 80)}; only files beside the list are compared"
    if ".." in name.split("/"):
        return f"gives {clean(name, 80)}, which leads out of the folder"
    if told.sums.setdefault(name, digest.lower()) != digest.lower():
        return f"contradicts an earlier line about {clean(name, 80)}"
    return None
