"""Change the settings of a registry in ``external_registries.json``.

The file keeps its own text, the key in it is never shown or kept in the history.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.utils import timezone

from discovery.engine.sidecars import json_edit, json_file
from discovery.models import SettingChange
from discovery.services.core import config_files, file_lock
from discovery.services.registries.configured import configured
from discovery.services.settings import editing
from discovery.services.settings.editing import SettingsError

if TYPE_CHECKING:
    from django.contrib.auth.models import User

FILE = config_files.REGISTRIES
SECTION = "external_registries"
#: What a page may set of a registry.
EDITABLE = (
    "enabled", "endpoint", "path", "sync_interval_hours", "auto_download", "include", "exclude",
    "api_key",
)  # fmt: skip


def is_ours(change: SettingChange) -> bool:
    return change.file == FILE.name


def change(name: str, values: Mapping[str, Any], *, by: User) -> bool:
    """Set values of a registry; an ``api_key`` of ``""`` takes the key out of the file.

    Raises ``SettingsError``. Returns whether anything changed.
    """
    if name not in configured():
        raise SettingsError({"": f"There is no registry {name}."})
    return _rewrite(name, lambda entry: _with(name, entry, values), by=by)


def undo(row: SettingChange, *, by: User) -> None:
    """Set a registry back to what it was before a change; its key stays as it is.

    Raises ``SettingsError`` where it has changed since.
    """
    name = row.key.partition(".")[2]

    def restored(entry: dict[str, Any] | None) -> dict[str, Any] | None:
        if _held(entry) != row.after or row.undone_at is not None:
            raise SettingsError({row.key: f"{row.key} has been changed since: nothing was undone."})
        if row.before is None:
            return None
        kept = {"api_key": entry["api_key"]} if entry and "api_key" in entry else {}
        return {**row.before["value"], **kept}

    _rewrite(name, restored, by=by)
    SettingChange.objects.filter(pk=row.pk).update(undone_at=timezone.now())


def _with(name: str, entry: dict[str, Any] | None, values: Mapping[str, Any]) -> dict[str, Any]:
    """The entry of the file with these values; what is as without it is left out."""
    plain = configured()[name].settings.model_dump(mode="json", include=set(EDITABLE))
    made = dict(entry or {})
    for key, value in values.items():
        if key not in EDITABLE:
            raise SettingsError({key: "This cannot be set here."})
        if key == "api_key":
            made.pop(key, None)
            made.update({key: value} if value else {})
        elif key in made or value != plain[key]:
            made[key] = value
    return made


def _rewrite(
    name: str,
    edit: Callable[[dict[str, Any] | None], dict[str, Any] | None],
    *,
    by: User,
) -> bool:
    with file_lock.host_lock(Path(settings.DATA_DIR) / "settings.lock", lambda: None):
        text = _text()
        data = json_file.parse_object(text.encode()).data or {}
        section = data.get(SECTION, {})
        before = section.get(name)
        after = edit(before)
        if after == before:
            return False
        changed = {} if after is None else {name: after}
        text = json_edit.updated_in(text, SECTION, changed, {name} if after is None else set())
        _check(text, name)
        try:
            config_files.write_atomically(FILE.path, text.encode(), private=_holds_key(text))
        except OSError as error:
            told = f"{FILE.path} cannot be written: {error.strerror}."
            raise SettingsError({"": told}) from error
        FILE.forget()
        row = SettingChange(
            file=FILE.name,
            key=f"{SECTION}.{name}",
            before=_held(before),
            after=_held(after),
            by=by,
            channel=SettingChange.PAGE,
        )
        editing.record([row], by.get_username())
        return True


def _held(entry: dict[str, Any] | None) -> dict[str, Any] | None:
    """As the history keeps it: without the key."""
    return None if entry is None else {"value": FILE.without_secrets(entry)}


def _holds_key(text: str) -> bool:
    """A file with a key in it is for the user of the server alone."""
    return any(each.key for each in (FILE.validate(text.encode())[0] or {}).values())


def _text() -> str:
    try:
        raw = FILE.path.read_bytes()
    except FileNotFoundError:
        return "{\n}\n"
    except OSError as error:
        raise SettingsError({"": f"{FILE.path} cannot be read: {error.strerror}."}) from error
    if faults := FILE.validate(raw)[1]:
        raise SettingsError({"": f"{faults[0]}. Fix the file first; nothing was saved."})
    return raw.decode("utf-8-sig")


def _check(text: str, name: str) -> None:
    value, faults = FILE.validate(text.encode())
    if value is None:
        keys = [f"{SECTION}.{name}.{key}" for key in EDITABLE]
        placed = editing.placed([fault.reason for fault in faults], keys)
        raise SettingsError({key.rpartition(".")[2]: told for key, told in placed.items()})
