"""The checks of the contract (section 4.6) by what a scan has read: headers and names, no weights.

Each is passed, a warning, failed or skipped, with a sentence that says what is wrong, where, and
what to do.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any

from discovery.engine.core.files import read_file
from discovery.engine.core.paths import to_text
from discovery.engine.core.types import Found
from discovery.engine.core.vocabulary import Outcome, Status
from discovery.engine.identify.read_path import UNREAD
from discovery.engine.integrity.check import Check, Facts, Result, skipped
from discovery.engine.integrity.checks import CHECKS
from discovery.engine.sidecars import tokenizer


def checks(found: Found, tokenizer_size: int | None = None) -> tuple[Result, ...]:
    """All checks, in the order in which they are shown.

    ``tokenizer_size`` (see :func:`tokenizer_size`) is not read by scans.
    """
    facts = Facts(found, tokenizer_size)
    if found.status is Status.REMOTE:
        return tuple(
            (
                each.judge(facts, each.name)
                if each.of_remote_models
                else skipped(each.name, "another server runs it")
            )
            for each in CHECKS.values()
        )
    if found.variants and not any(variant.format for variant in found.variants):
        return tuple(
            skipped(each.name, UNREAD) if each.needs_reader else each.judge(facts, each.name)
            for each in CHECKS.values()
        )
    absent = facts.absent  # once a model: each of the checks asked anew
    return tuple(_earned(each, each.judge(facts, each.name), absent) for each in CHECKS.values())


def _earned(check: Check, result: Result, absent: str) -> Result:
    """A check does not pass files whose content is missing."""
    if absent and result.status is Outcome.PASSED and check.needs_content:
        return skipped(check.name, absent)
    return result


def is_valid(told: Sequence[Mapping[str, Any]]) -> bool:
    """False exactly when a check failed."""
    return all(check["status"] != Outcome.FAILED for check in told)


def as_json(told: Sequence[Result]) -> list[dict[str, Any]]:
    return [
        {
            "name": c.name,
            "status": c.status.value,
            "message": to_text(c.message),
            "path": to_text(c.path),
        }
        for c in told
    ]


def content(found: Found) -> str:
    """Changes with any name, size or time of the model's files; stays when the model moves. 32
    hexadecimal digits.

    Its metadata.json is left out: nothing runs it, and what people write about a model does not
    change the model.
    """
    prefix = f"{found.path}/"
    # A model that is files lies in a folder of others: what counts is where its files are from
    # there.
    inside = found.path == "." or any(entry.path.startswith(prefix) for entry in found.files)
    folder = found.path if inside else posixpath.dirname(found.path) or "."
    files = [
        (
            (
                entry.path.removeprefix(prefix)
                if inside
                else posixpath.relpath(f"/{entry.path}", f"/{folder}")
            ),
            entry,
        )
        for entry in found.files
    ]
    lines = sorted(
        f"{name}|{entry.size}|{entry.mtime_ns}" for name, entry in files if name != "metadata.json"
    )
    return blake2b("\n".join(lines).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def tokenizer_size(root: str, found: Found) -> int | None:
    """Entries of the model's ``tokenizer.json``, added tokens included; ``None`` without one that
    can be read. Reads the file.
    """
    entries = [entry for entry in found.files if entry.name == "tokenizer.json"]
    if not entries:
        return None
    nearest = min(entries, key=lambda entry: (entry.path.count("/"), entry.path))
    try:
        return tokenizer.vocabulary_size(read_file(root, nearest, tokenizer.MAX_BYTES + 1))
    except OSError:
        return None  # that it cannot be read is the business of path_readable
