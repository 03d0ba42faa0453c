"""Follow the config files.

A change on disk or on a page takes effect within a minute, and appears in the history and in the
log; a broken file is reported once.

The housekeeper calls ``follow`` each round. The last state is kept in the data folder, so that a
change made while nothing ran is noticed too.
"""

from __future__ import annotations

import json
from hashlib import blake2b
from pathlib import Path
from typing import Any

from django.conf import settings

from discovery.engine.core.vocabulary import Severity
from discovery.engine.sidecars import json_file
from discovery.models import LogTopic, SettingChange
from discovery.services import scans
from discovery.services.core import config_files, event_log, file_lock
from discovery.services.scans import categorization
from discovery.services.settings import editing

#: Sections of the files whose members are settings of their own.
_SECTIONS = ("discovery", "retention", "throttles", "downloads", "external_registries")


def follow() -> None:
    """Follow each config file that has changed since the last time."""
    with file_lock.tried(Path(settings.DATA_DIR) / "config" / "followed.lock") as mine:
        if not mine:
            return
        states = _states()
        for file in config_files.FILES:
            raw = _bytes(file)
            digest = blake2b(raw, digest_size=16).hexdigest()
            state = states.get(file.name)
            if state is None:
                states[file.name] = {
                    "digest": digest,
                    "document": _document(file, raw),
                    "fault": "",
                }
            elif digest not in (state["digest"], state["fault"]):
                _changed(file, raw, digest, state)
            elif digest == state["digest"] and state["fault"]:
                state["fault"] = ""
                _tell(f"{file.name} is as it was before: it is in force")
            else:
                continue
            _keep(states)


def _changed(
    file: config_files.ConfigFile[Any], raw: bytes, digest: str, state: dict[str, Any]
) -> None:
    faults = file.validate(raw)[1] if raw else ()
    if faults:
        state["fault"] = digest
        for fault in faults[:20]:
            _tell(f"{fault}; the last good version stays in force", Severity.WARNING)
        return
    document = _document(file, raw)
    if state["fault"]:
        _tell(f"{file.name} is in order again and in force")
    before = state["document"]
    state.update(digest=digest, document=document, fault="")
    if file is config_files.RULES:
        categorization.request_recategorization(None)
    if file is config_files.DISCOVERY:
        _record(file, before, document)
        apply()
    if file is config_files.REGISTRIES:
        _record(file, before, document)


def apply() -> None:
    """Update roots and schedule from ``model_discovery.json``."""
    for sentence in scans.sync_roots():
        _tell(sentence, Severity.WARNING)
    scans.sync_schedule()


def _record(
    file: config_files.ConfigFile[Any], before: dict[str, Any], after: dict[str, Any]
) -> None:
    """What was changed in the file itself: a page has recorded its own changes."""
    changed = [
        key
        for key in dict.fromkeys((*_keys(before), *_keys(after)))
        if editing.held(before, key) != editing.held(after, key)
    ]
    name = file.name
    last = {
        row.key: row.after
        for row in SettingChange.objects.filter(file=name, key__in=changed).order_by("pk")
    }
    rows = [
        SettingChange(
            file=name,
            key=key,
            before=editing.held(before, key),
            after=editing.held(after, key),
            channel=SettingChange.FILE,
        )
        for key in changed
        if key not in last or last[key] != editing.held(after, key)
    ]
    editing.record(rows, "")


def _keys(document: dict[str, Any]) -> list[str]:
    keys = []
    for section, value in document.items():
        inner = value if section in _SECTIONS and isinstance(value, dict) else None
        keys += [section] if inner is None else [f"{section}.{name}" for name in inner]
    return keys


def _bytes(file: config_files.ConfigFile[Any]) -> bytes:
    """Nothing for a file that is not there; one that cannot be read is faulty in itself."""
    try:
        return file.path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        return f"it cannot be read: {error.strerror}".encode()


def _document(file: config_files.ConfigFile[Any], raw: bytes) -> dict[str, Any]:
    parsed = json_file.parse_object(raw or b"{}")
    return dict(file.without_secrets(parsed.data)) if not parsed.fault else {}


def _tell(sentence: str, level: Severity = Severity.INFO) -> None:
    event_log.record(LogTopic.DISCOVERY, level, sentence)


def _file() -> Path:
    return Path(settings.DATA_DIR) / "config" / "followed.json"


def _states() -> dict[str, dict[str, Any]]:
    try:
        found: dict[str, dict[str, Any]] = json.loads(_file().read_bytes())
    except (OSError, ValueError):
        return {}
    return found


def _keep(states: dict[str, dict[str, Any]]) -> None:
    config_files.write_atomically(_file(), json.dumps(states).encode(), private=True)
