"""Write decided fields back into the ``metadata.json`` of each model's folder.

The files then carry what people decided.

A file describes a folder: it is written only where the next scan would read it for this model and
no other.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

from discovery import startup
from discovery.engine.core.heartbeat import CalledOff, beat
from discovery.engine.core.paths import is_under, to_native, to_text
from discovery.engine.core.vocabulary import Severity, Status
from discovery.engine.sidecars import json_edit, json_file, metadata_json
from discovery.models import LogTopic, RegisteredModel, Root
from discovery.services.core.event_log import Journal
from discovery.services.machine import reach
from discovery.services.machine.root_probes import RootSilent
from discovery.services.metadata.metadata import EDITABLE, HOSTING

NAME = "metadata.json"
#: Seconds that the disk has for one file; one that does not answer at all is given up sooner.
PATIENCE = 30.0
#: Where a hosted model is, is no fact of a folder.
WRITTEN = EDITABLE - HOSTING.keys()
BOM = b"\xef\xbb\xbf"


class Outcome(StrEnum):
    WRITTEN = "written"
    UNCHANGED = "unchanged"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Result:
    """The result for one model.

    ``fields`` are those that the file did not have before, ``reason`` explains why it was refused.
    """

    model_id: str
    path: str
    outcome: Outcome
    fields: tuple[str, ...] = ()
    reason: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


class WriteRefused(Exception):
    """The file is not written; the text says why and what to do."""


def curated_models() -> Iterator[RegisteredModel]:
    """The models that people have decided something about."""
    columns = ("model_id", "path", "status", "curated", "extracted", "root")
    rows = (
        RegisteredModel.objects.exclude(curated={})
        .select_related("root")
        .only(*columns, "root__path", "root__read_only")
        .order_by("pk")
    )
    yield from rows.iterator(chunk_size=500)


def write(
    records: Iterable[RegisteredModel], *, dry_run: bool = False, by: str = "write_metadata"
) -> Iterator[Result]:
    """Write the file of each model and return the results; ``dry_run`` only returns them."""
    for record in records:
        try:
            # One that comes too late writes nothing: it is called off.
            writing = partial(_write, record, dry_run)
            result = reach.within(
                record.root, ("write", record.pk), writing, longest=PATIENCE, keep=False
            )
        except (WriteRefused, RootSilent) as error:
            result = Result(record.model_id, record.path, Outcome.REFUSED, reason=str(error))
        if not dry_run and result.outcome is not Outcome.UNCHANGED:
            _note(record, result, by)
        yield result


def _write(record: RegisteredModel, dry_run: bool) -> Result:
    folder = _folder(record)
    path = folder / NAME
    raw = _read(path, to_native("/", record.root.path))
    changes = _changes(record, _parsed(raw))
    bom = BOM if raw.startswith(BOM) else b""
    text = raw.removeprefix(BOM).decode()
    shown = to_text(str(path))
    if not changes:
        return Result(record.model_id, shown, Outcome.UNCHANGED)
    try:
        changed = json_edit.updated(text, changes)
    except (ValueError, RecursionError) as error:
        raise WriteRefused(f"{NAME} cannot be edited: {error}. Fix it first.") from error
    _refuse_read_only(folder, path)
    if not dry_run:
        _replace(path, bom + changed.encode())
    return Result(record.model_id, shown, Outcome.WRITTEN, tuple(sorted(changes)))


def _folder(record: RegisteredModel) -> Path:
    """The folder that is this model's alone. Raises ``Refused``."""
    if record.root.path == Root.REMOTE or record.status == Status.REMOTE:
        raise WriteRefused("It is hosted elsewhere and has no folder.")
    if record.root.read_only:
        raise WriteRefused("Its root is read-only: change that on the Roots page first.")
    root = to_native("/", record.root.path)
    folder = Path(to_native(root, record.path))
    if not os.path.lexists(folder):
        raise WriteRefused("Its files are not where they used to be: put them back and scan.")
    if not is_under(os.path.realpath(folder), os.path.realpath(root)):
        raise WriteRefused(
            "Its folder is a link that leaves the root. Nothing is written outside the root."
        )
    if not folder.is_dir():
        raise WriteRefused(
            f"It is a file in a folder that is not its own. Put it into a folder with a {NAME}"
            " beside it (even an empty one, {}), and scan."
        )
    if folder.name.startswith("models--") and (folder / "snapshots").is_dir():
        raise WriteRefused(
            "It lies in the Hub's cache, whose files are the Hub's. Copy it into a folder of its"
            " own to keep metadata beside it."
        )
    if any(
        parent.name == "manifests" and (parent.parent / "blobs").is_dir()
        for parent in folder.parents
    ):
        raise WriteRefused(
            "It lies in Ollama's store, whose files are Ollama's. What you decided stays in the"
            " registry."
        )
    return folder


def _read(path: Path, root: str) -> bytes:
    """The bytes of the file, ``{}`` where there is none. Raises ``Refused``."""
    if path.is_symlink():
        target = os.path.realpath(path)
        where = (
            "a link that leaves the root"
            if not is_under(target, os.path.realpath(root))
            else "a link, so other models may share it"
        )
        raise WriteRefused(f"{NAME} is {where}. Put a file of its own in its place.")
    try:
        with path.open("rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise WriteRefused(f"{NAME} is not a regular file.")
            return file.read(json_file.MAX_BYTES + 1)
    except FileNotFoundError:
        return b"{}\n"
    except OSError as error:
        raise WriteRefused(f"{NAME} cannot be read: {error.strerror or error}.") from error


def _parsed(raw: bytes) -> dict[str, Any]:
    """Parse the file; raises ``Refused`` for an invalid one: rewriting it would hide the error."""
    parsed = json_file.parse_object(raw)
    if parsed.fault or not isinstance(parsed.data, dict):
        raise WriteRefused(f"{NAME} is broken: {parsed.fault}. Fix it first; nothing was written.")
    return parsed.data


def _changes(record: RegisteredModel, standing: Mapping[str, Any]) -> dict[str, Any]:
    """The members to set so that the next scan reads what people decided."""
    said, _ = metadata_json.fields(standing)
    curated = {name: entry["value"] for name, entry in record.curated.items() if name in WRITTEN}
    changes = {
        name: value
        for name, value in curated.items()
        if name != "custom" and said.get(name) != value
    }
    if "custom" in curated:
        given = standing.get("custom")
        given = given if isinstance(given, dict) else {}
        wanted = _custom(record, curated["custom"], given, standing)
        if wanted != given:
            changes["custom"] = wanted
    return changes


def _custom(
    record: RegisteredModel,
    curated: Mapping[str, Any],
    given: Mapping[str, Any],
    standing: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the custom fields to write.

    Fields that people removed become ``null``, so that they are ignored wherever they are read;
    fields that nobody has seen yet are kept.
    """
    read = record.extracted.get("custom", {}).get("value") or {}
    denied = {name: None for name in read if name not in curated}
    said = {
        name: value
        for name, value in curated.items()
        if name in given or name not in standing or standing[name] != value
    }
    return {**given, **denied, **said}


def _refuse_read_only(folder: Path, path: Path) -> None:
    if not os.access(folder, os.W_OK):
        raise WriteRefused(
            "The folder is read-only for the user that runs this. Give it the right to write"
            f" there: {to_text(str(folder))}"
        )
    if path.exists() and not os.access(path, os.W_OK):
        raise WriteRefused(f"{NAME} is read-only: somebody protected it.")


def _replace(path: Path, raw: bytes) -> None:
    """Replace a file atomically: readers see the old version or the new one, even after a crash.

    Raises ``Refused``.
    """
    temporary = path.with_name(f".{NAME}.{os.getpid()}.tmp")
    beat()
    try:
        with temporary.open("xb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(startup.public_mode(path))
        beat()
        temporary.replace(path)
    except CalledOff:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    except OSError as error:
        if not isinstance(error, FileExistsError):
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        raise WriteRefused(f"{NAME} cannot be written: {error.strerror or error}.") from error


def _note(record: RegisteredModel, result: Result, by: str) -> None:
    journal = Journal()
    if result.outcome is Outcome.WRITTEN:
        journal.add(
            LogTopic.METADATA,
            Severity.INFO,
            f"{by}: wrote {', '.join(result.fields)} to {NAME}",
            model_id=record.model_id,
            path=record.path,
        )
    else:
        text = f"{by}: {NAME} was not written. {result.reason}"
        journal.add(
            LogTopic.METADATA, Severity.WARNING, text, model_id=record.model_id, path=record.path
        )
    journal.write()
