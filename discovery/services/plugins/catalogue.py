"""The plugins that are loaded, as rows of the database, and as formats of the engine.

``refresh`` looks for plugin files, loads what is new or changed in a child process, and registers
the classes that are switched on. It is called by scans and by people; pages only read the rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from threading import Lock

from django.utils import timezone

from discovery.engine.core import format_registry
from discovery.engine.core.format_registry import Format
from discovery.engine.core.text import clean, word
from discovery.engine.core.vocabulary import ModelType, Severity
from discovery.loading.plugin_host import PluginFailed, PluginProcess
from discovery.loading.plugin_messages import Description, Source
from discovery.models import LogTopic, Plugin, RegisteredModel
from discovery.services.core import event_log
from discovery.services.plugins import sources
from discovery.services.plugins.asking import PluginReader
from discovery.services.plugins.sources import PluginFile

#: Built-in formats are asked before plugins.
FIRST_RANK = 10_000
_LABELS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")

#: Columns that follow from the plugin's files.
_OWN = (
    "source",
    "path",
    "position",
    "format",
    "label",
    "version",
    "summary",
    "suffixes",
    "digest",
    "load_error",
    "loaded_at",
    "failures_in_a_row",
)

_lock = Lock()
_registered: dict[str, Format] = {}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A row with the file that it was loaded from."""

    plugin: Plugin
    file: PluginFile


def refresh(*, again: bool = False) -> list[Loaded]:
    """The plugins that there are, in their order. ``again``: load all of them anew.

    Rows of plugins that are gone are deleted, unless models of theirs or a decision hang on them.
    """
    known = {row.key: row for row in Plugin.objects.all()}
    before = {key: _columns(row) for key, row in known.items()}
    loaded: dict[str, Loaded] = {}
    for file in sources.find():
        for row in _rows(file, known, again=again):
            if row.key not in loaded:
                row.position = len(loaded)
                loaded[row.key] = Loaded(row, file)
    _name_formats([each.plugin for each in loaded.values()], known.values())
    for key, each in loaded.items():
        _tell(each.plugin, before.get(key))
        _save(each.plugin, before.get(key))
    gone = [row for row in known.values() if row.key not in loaded and row.enabled]
    used = RegisteredModel.objects.filter(format__in=[row.format for row in gone if row.format])
    kept = set(used.order_by().values_list("format", flat=True).distinct()) if gone else set()
    Plugin.objects.filter(pk__in=[row.pk for row in gone if row.format not in kept]).delete()
    rows = list(loaded.values())
    register(rows)
    return rows


def load() -> list[str]:
    """Load and register all plugins without the database; returns why some are not loaded."""
    rows: dict[str, Loaded] = {}
    for file in sources.find():
        for row in _rows(file, {}, again=True):
            row.position = len(rows)
            rows.setdefault(row.key, Loaded(row, file))
    ordered = list(rows.values())
    _name_formats([each.plugin for each in ordered], ())
    register(ordered)
    return [each.plugin.load_error for each in ordered if each.plugin.load_error]


def _columns(row: Plugin) -> tuple[object, ...]:
    return tuple(getattr(row, name) for name in _OWN)


def _tell(row: Plugin, before: tuple[object, ...] | None) -> None:
    told = before[_OWN.index("load_error")] if before else ""
    if row.load_error and row.load_error != told:
        event_log.record(LogTopic.DISCOVERY, Severity.WARNING, row.load_error)


def _save(row: Plugin, before: tuple[object, ...] | None) -> None:
    """What is not ours, a person or a scan may be changing at this moment."""
    if before is None:
        row.save()
    elif before != _columns(row):
        row.save(update_fields=_OWN)


def _rows(file: PluginFile, known: dict[str, Plugin], *, again: bool) -> list[Plugin]:
    """The rows of one file, from the last time unless its code has changed."""
    own = [
        row
        for row in known.values()
        if row.module == file.module and file.class_name in ("", row.class_name)
    ]
    unchanged = own and all(row.digest == file.digest and row.loaded_at for row in own)
    if unchanged and not again and not file.fault:
        for row in own:
            row.source, row.path = file.kind, file.path
        return own
    if file.fault:
        return _failed(file, known, file.fault)
    try:
        with PluginProcess(file.source) as process:
            classes = process.classes
    except (PluginFailed, OSError) as error:
        return _failed(file, known, f"{file.path} is not loaded: {error}")
    wanted = [each for each in classes if file.class_name in ("", each.class_name)]
    return [_described(file, each, known) for each in wanted]


def _failed(file: PluginFile, known: dict[str, Plugin], reason: str) -> list[Plugin]:
    """The classes that the file had when it was loaded last, or a row for the file itself."""
    key = file.source.key
    rows = [
        row
        for row in known.values()
        if row.module == file.module and row.format and file.class_name in ("", row.class_name)
    ] or [known.get(key) or Plugin(key=key, module=file.module, class_name=file.class_name)]
    for row in rows:
        row.source, row.path, row.digest = file.kind, file.path, file.digest
        row.load_error, row.loaded_at = clean(reason, 500), timezone.now()
        row.label = row.label or file.source.key
    return rows


def _described(file: PluginFile, told: Description, known: dict[str, Plugin]) -> Plugin:
    key = f"{file.module}.{told.class_name}"
    row = known.get(key) or Plugin(key=key, module=file.module, class_name=told.class_name)
    if row.digest != file.digest:
        row.failures_in_a_row = 0
    row.source, row.path, row.digest = file.kind, file.path, file.digest
    row.version, row.summary = clean(told.version, 60), clean(told.summary, 300)
    row.label = clean(told.label, 60) or _label(told.class_name)
    row.suffixes = [clean(each, 60) for each in told.suffixes]
    row.load_error, row.loaded_at = "", timezone.now()
    return row


def _label(class_name: str) -> str:
    """``CustomModelDiscoveryPlugin`` → ``Custom model discovery``."""
    words = [each for each in _LABELS.split(class_name) if each]
    named = words[:-1] if len(words) > 1 and words[-1] == "Plugin" else words
    return word("_".join(named))[:60]


def _name_formats(rows: Iterable[Plugin], others: Iterable[Plugin]) -> None:
    """Give each row a format of its own: what its models' column says, for good."""
    taken = {each.format for each in others if each.format}
    taken |= {each.name for each in format_registry.every() if each.paths is None}
    for row in rows:
        if row.format or not row.class_name:
            continue
        base = re.sub(r"[^a-z0-9]+", "-", row.label.lower()).strip("-")[:24] or "plugin"
        options = (base, *(f"{base}-{number}" for number in range(2, 1_000)))
        row.format = next(each for each in options if each not in taken)
        taken.add(row.format)


def register(rows: Iterable[Loaded]) -> None:
    """Make the formats of the engine those of these plugins, as far as they are on."""
    wanted = {
        row.plugin.format: _format(row)
        for row in rows
        if row.plugin.enabled and row.plugin.class_name and not row.plugin.load_error
    }
    with _lock:
        for name, registered in list(_registered.items()):
            if wanted.get(name) != registered:
                format_registry.unregister(name)
                del _registered[name]
        for name, new in wanted.items():
            if name not in _registered:
                format_registry.register(new)
                _registered[name] = new


def forget() -> None:
    """For tests: as if no plugin had been registered in this process."""
    register(())


def _format(row: Loaded) -> Format:
    plugin = row.plugin
    source = row.file.source
    own = Source(
        module=source.module, class_name=plugin.class_name, file=source.file, paths=source.paths
    )
    return Format(
        name=plugin.format,
        label=plugin.label,
        rank=FIRST_RANK + plugin.position,
        type=ModelType.PLUGIN,
        paths=PluginReader(
            key=plugin.key,
            label=plugin.label,
            source=own,
            suffixes=tuple(plugin.suffixes),
            digest=f"{plugin.digest[:16]}.{plugin.version}.{plugin.generation}",
        ),
    )
