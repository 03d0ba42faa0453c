"""Read and write the values of ``model_discovery.json``.

Each value has its source; changes are written into the file's own text, kept in the history, and
can be undone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from discovery.engine.core.vocabulary import Severity
from discovery.engine.sidecars import json_edit, json_file
from discovery.models import LogTopic, SettingChange
from discovery.services.core import config_files, event_log, file_lock, form_stamps
from discovery.services.settings.catalogue import Setting

if TYPE_CHECKING:
    from django.contrib.auth.models import User

FILE = config_files.DISCOVERY


class SettingsError(Exception):
    """The settings could not be saved; nothing was written.

    ``faults`` is {key of a setting: one sentence}; an empty key is for the file as a whole.
    """

    def __init__(self, faults: Mapping[str, str]) -> None:
        super().__init__("; ".join(faults.values()))
        self.faults = dict(faults)


@dataclass(frozen=True, slots=True)
class InForce:
    """The current value of a setting.

    ``source`` is environment, file, page or default; ``change`` is the change that set it on a
    page.
    """

    setting: Setting
    value: Any
    source: str
    change: SettingChange | None = None

    @property
    def stamp(self) -> str:
        return form_stamps.stamp(self.value)


def in_force(wanted: tuple[Setting, ...]) -> list[InForce]:
    """Each of these settings; one query for all."""
    value, document = FILE.value(), written()
    keys = [setting.key for setting in wanted]
    rows = SettingChange.objects.filter(file=FILE.name, key__in=keys).select_related("by")
    last = {row.key: row for row in rows.order_by("pk")}
    found = []
    for setting in wanted:
        current = getattr(getattr(value, setting.section), setting.name)
        given = setting.environment()
        if given is not None:
            found.append(InForce(setting, given, "environment"))
            continue
        row, now = last.get(setting.key), held(document, setting.key)
        by_page = row is not None and row.channel == SettingChange.PAGE and row.after == now
        source = "default" if now is None else "page" if by_page else "file"
        plain = list(current) if isinstance(current, tuple) else current
        found.append(InForce(setting, plain, source, row if source == "page" else None))
    return found


def written() -> dict[str, Any]:
    """Return the contents of the file; empty without one, or while it is broken."""
    try:
        parsed = json_file.parse_object(FILE.path.read_bytes())
    except OSError:
        return {}
    return dict(parsed.data) if not parsed.fault else {}


def held(document: Mapping[str, Any], key: str) -> dict[str, Any] | None:
    """``{"value": …}`` of a dotted key; ``None`` where the document does not hold it."""
    section, _, name = key.partition(".")
    if not name:
        return {"value": document[section]} if section in document else None
    inner = document.get(section)
    return {"value": inner[name]} if isinstance(inner, dict) and name in inner else None


def save(changes: Mapping[str, Any], *, by: User | None, seen: Mapping[str, str]) -> list[str]:
    """Write values, ``{key: value}``, to the file; return the keys that really changed.

    ``seen`` are the stamps of what the form showed. Raises ``SettingsError``, or ``Conflict`` where
    somebody else has changed one of them.
    """
    with _one_at_a_time():
        now = {key: current(key) for key in changes}
        touched = form_stamps.touched(changes, seen)
        form_stamps.agree(touched, now, seen)
        wanted = {key: value for key, value in touched.items() if value != now[key]}
        if wanted:
            _write({key: {"value": value} for key, value in wanted.items()}, by=by)
        return list(wanted)


def rewrite(key: str, change: Callable[[Any], Any], *, by: User | None) -> None:
    """Replace the current value by the result of ``change``, under a lock.

    Raises ``SettingsError``, and whatever ``change`` raises.
    """
    with _one_at_a_time():
        now = current(key)
        wanted = change(now)
        if wanted != now:
            _write({key: {"value": wanted}}, by=by)


def current(key: str) -> Any:
    """The value in force, as the file would write it."""
    section, _, name = key.partition(".")
    document = FILE.value().model_dump(mode="json")
    value = document[section]
    if key == "discovery.roots":
        return (held(written(), key) or {"value": []})["value"]
    return value[name] if name else value


def undo(change: SettingChange, *, by: User) -> None:
    """Restore the value from before a change.

    Raises ``SettingsError`` where the value has changed since, or is not valid any more.
    """
    with _one_at_a_time():
        if held(written(), change.key) != change.after:
            raise SettingsError(
                {change.key: f"{change.key} has been changed since: nothing was undone."}
            )
        if not SettingChange.objects.filter(pk=change.pk, undone_at=None).exists():
            raise SettingsError({change.key: "This change was undone before."})
        _write({change.key: change.before}, by=by)
        SettingChange.objects.filter(pk=change.pk).update(undone_at=timezone.now())


def _write(values: Mapping[str, dict[str, Any] | None], *, by: User | None) -> None:
    """``{key: {"value": …}}``; ``None`` takes the key out of the file."""
    text = _text()
    before = json_file.parse_object(text.encode()).data or {}
    for key, value in values.items():
        text = _edited(text, key, value)
    _check(text, values)
    try:
        config_files.write_atomically(FILE.path, text.encode())
    except OSError as error:
        raise SettingsError({"": f"{FILE.path} cannot be written: {error.strerror}."}) from error
    FILE.forget()
    rows = [
        SettingChange(
            file=FILE.name,
            key=key,
            before=held(before, key),
            after=value,
            by=by,
            channel=SettingChange.PAGE,
        )
        for key, value in values.items()
    ]
    record(rows, by.get_username() if by else "")


def record(rows: list[SettingChange], who: str) -> None:
    """Record changes in the history and the log."""
    with transaction.atomic():
        SettingChange.objects.bulk_create(rows)
        log = event_log.Journal()
        for row in rows:
            source = f"by {who}" if who else f"in {row.file}"
            log.add(LogTopic.DISCOVERY, Severity.INFO, f"{row.key} was changed {source}")
        log.write()


def _text() -> str:
    """Return the text of the file.

    Raises ``SettingsError`` while it is broken: writing would lose what somebody is about to fix.
    """
    try:
        raw = FILE.path.read_bytes()
    except FileNotFoundError:
        return "{\n}\n"
    except OSError as error:
        raise SettingsError({"": f"{FILE.path} cannot be read: {error.strerror}."}) from error
    if faults := FILE.validate(raw)[1]:
        raise SettingsError({"": f"{faults[0]}. Fix the file first; nothing was saved."})
    return raw.decode("utf-8-sig")


def _edited(text: str, key: str, value: dict[str, Any] | None) -> str:
    section, _, name = key.partition(".")
    if not name:
        return (
            json_edit.without(text, {key})
            if value is None
            else (json_edit.updated(text, {key: value["value"]}))
        )
    changes = {} if value is None else {name: value["value"]}
    return json_edit.updated_in(text, section, changes, {name} if value is None else set())


def _check(text: str, keys: Iterable[str]) -> None:
    """Raise ``SettingsError`` with each error at the setting that it is about."""
    value, faults = FILE.validate(text.encode())
    if value is not None:
        return
    raise SettingsError(placed([fault.reason for fault in faults], keys))


def placed(reasons: Iterable[str], keys: Iterable[str]) -> dict[str, str]:
    """Return {key: sentence} of what is wrong with a file, by the setting that each is about.

    An empty key is for errors about none of them.
    """
    found: dict[str, str] = {}
    for each in reasons:
        path, _, reason = each.partition(": ")
        key = next((key for key in keys if path == key or path.startswith(f"{key}.")), "")
        sentence = f"{reason[:1].upper()}{reason[1:].rstrip('.')}."
        found.setdefault(key, sentence if key else each)
    return found


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    with file_lock.host_lock(Path(settings.DATA_DIR) / "settings.lock", lambda: None):
        yield


def shown(value: dict[str, Any] | None) -> str:
    """A value of the history in one line."""
    return "default" if value is None else json.dumps(value["value"], ensure_ascii=False)
