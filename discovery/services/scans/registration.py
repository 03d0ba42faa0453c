"""Register a model manually.

It is a path inside the roots that scans do not find, or a model that another server runs.

The engine reads what it can, like a scan of that place; values from the person are curated. A later
scan that reaches the same path updates the record; one that does not reach it still reads it again.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import psutil
from django.db import IntegrityError, transaction
from django.utils import timezone

from discovery.engine.classify.categorize import Categorizer
from discovery.engine.classify.describe import categorized
from discovery.engine.core.config import Discovery
from discovery.engine.core.errors import NotAModel
from discovery.engine.core.paths import to_native, to_text
from discovery.engine.core.service_words import KEY_PREFIX
from discovery.engine.core.types import Found, Value
from discovery.engine.core.vocabulary import ModelType, Severity
from discovery.engine.identify import read_path
from discovery.engine.identify.document import CATEGORIES
from discovery.engine.identify.model_ids import new_id
from discovery.models import LogTopic, RegisteredModel, Root, SkippedPath
from discovery.services.access.redaction import Sight
from discovery.services.core import config_files, event_log
from discovery.services.curation import collections
from discovery.services.findings import findings
from discovery.services.integrations import http_client, webhooks
from discovery.services.machine import reach
from discovery.services.metadata import input_checks, metadata
from discovery.services.metadata.metadata import InvalidMetadata
from discovery.services.registry import aliases, deregistration, tags
from discovery.services.registry.records import resolve, take
from discovery.services.scans.roots import (
    NoSuchFolder,
    OutsideRoots,
    below_a_root,
    others,
    resolve_path,
    settings_of,
    sync_roots,
)

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MAX_NAME = 300
MAX_PATH = 2_000
#: Seconds that the disk has to give all of a model; one that does not answer at all is given up
#: sooner.
PATIENCE = 30.0

#: What says which model is meant; the rest of what is sent is metadata.
IDENTITY = frozenset({"name", "path", "endpoint", "category"})

#: The general form of these: what the files say is more exact.
_HUB_TYPES = frozenset(
    {ModelType.TRANSFORMERS, ModelType.SENTENCE_TRANSFORMERS, ModelType.DIFFUSERS, ModelType.PEFT}
)

_FLOW = ("modalities", "input_modalities", "output_modalities")

_KEYS = frozenset({"api_key", "key", "token", "secret", "password"})


class AlreadyRegistered(Exception):
    """The registry has this model; ``model_id`` names it."""

    def __init__(self, model_id: str) -> None:
        super().__init__(f"it is registered already, as {model_id}")
        self.model_id = model_id


class _Unusable(ValueError):
    """A path or an address cannot be used: one sentence for the person who gave it."""


def register(data: Mapping[str, Any], *, by: User, channel: str) -> RegisteredModel:
    """Register a model and return its record, or change nothing.

    ``data`` is ``{name, path, type, ...metadata}``, or ``{name, type: "OPENAI", endpoint,
    ...metadata}``.

    Raises ``InvalidMetadata`` (``errors``: {field: what is wrong}), ``AlreadyRegistered`` or
    ``RootSilent``.
    """
    root, found, name, curated = _understood(data, Sight(by))
    if curated.get("type") == ModelType.HUGGINGFACE:
        read = found.values["type"].value if "type" in found.values else None
        curated["type"] = None if read in _HUB_TYPES else ModelType.TRANSFORMERS.value
    if name and name != to_text(found.name) and not curated.get("display_name"):
        curated["display_name"] = name
    return _write(root, found, name, curated, by, channel)


def look(data: Mapping[str, Any], *, by: User | None = None) -> Found:
    """What would be registered, read and categorized; nothing is written.

    Raises as ``register`` does.
    """
    root, found, _, _ = _understood(data, Sight(by))
    if known := _known(root, found):
        raise AlreadyRegistered(known)
    return found


def _understood(data: Mapping[str, Any], sight: Sight) -> tuple[Root, Found, str, dict[str, Any]]:
    """Return (root, the model found, its name as given, the person's values).

    Raises ``InvalidMetadata`` with all that is wrong.
    """
    errors: dict[str, str] = {}
    name = _name(data, errors)
    curated = _curated(data, errors)
    root, found = (
        _hosted(data, name, errors)
        if curated.get("type") == ModelType.OPENAI
        else _on_disk(data, sight, errors)
    )
    if errors or root is None or found is None:
        raise InvalidMetadata(errors)
    return root, _categorized(found, curated), name, curated


def _categorized(found: Found, curated: Mapping[str, Any]) -> Found:
    """Categorize a model.

    Only the name of a hosted model can be read, so its rules also use the inputs and outputs that
    the person entered.
    """
    categorizer = Categorizer(config_files.rules())
    if found.files:
        return categorized(found, categorizer)
    said = {name: Value(curated[name], read_path.REGISTERED) for name in _FLOW if name in curated}
    decided = categorized(replace(found, values={**found.values, **said}), categorizer)
    return replace(
        decided, values={name: value for name, value in decided.values.items() if name not in said}
    )


def _name(data: Mapping[str, Any], errors: dict[str, str]) -> str:
    name = data.get("name") or ""
    if not isinstance(name, str):
        errors["name"] = "must be a text"
    elif len(name) > MAX_NAME:
        errors["name"] = f"must be a text of at most {MAX_NAME} characters"
    elif reason := input_checks.fault("name", name):
        errors["name"] = reason
    else:
        return name.strip()
    return ""


def _curated(data: Mapping[str, Any], errors: dict[str, str]) -> dict[str, Any]:
    """Return the given metadata, cleaned; empty values are left to the files."""
    given = {str(field): value for field, value in data.items() if field not in IDENTITY}
    for field in [field for field in given if field in _KEYS]:
        errors[field] = (
            "keys are never stored: name an environment variable that begins with"
            f" {KEY_PREFIX} as api_key_variable"
        )
        del given[field]
    category = data.get("category") or {}
    if not isinstance(category, Mapping) or not set(category) <= set(CATEGORIES):
        errors["category"] = f"must be an object with {', '.join(CATEGORIES)}"
    else:
        given |= category
    cleaned: dict[str, Any] = {}
    for field, value in given.items():
        try:
            cleaned |= metadata.clean({field: value})
        except InvalidMetadata as error:
            errors |= error.errors
    if cleaned.get("api_key_variable") and cleaned.get("type") != ModelType.OPENAI:
        errors["api_key_variable"] = "only a hosted model (type OPENAI) has a key"
    return {field: value for field, value in cleaned.items() if value is not None}


# -- on disk


def _on_disk(
    data: Mapping[str, Any], sight: Sight, errors: dict[str, str]
) -> tuple[Root | None, Found | None]:
    if data.get("endpoint"):
        errors["endpoint"] = "only a hosted model has an endpoint: its type is OPENAI"
    try:
        given = _given(data.get("path"))
        sync_roots()
        return _found(given, sight)
    except _Unusable as error:
        errors["path"] = str(error)
    except NotAModel as error:
        errors["path"] = f"no model can be registered here: {error.reason}"
    except OSError as error:
        errors["path"] = f"cannot be read: {error.strerror}"
    return None, None


def _given(path: Any) -> str:
    """Return the path; raises ``_Unusable`` for text that cannot be the path of a model."""
    if not isinstance(path, str) or not path.strip():
        raise _Unusable("say where the model is: an absolute path, or one below a root")
    if reason := input_checks.fault("path", path):
        raise _Unusable(reason)
    if len(path) > MAX_PATH:
        raise _Unusable(
            f"has {len(path):,} characters; paths of at most {MAX_PATH:,} can be registered"
        )
    if ".." in re.split(r"[/\\]", path):
        raise _Unusable("must not contain '..': give the path as it is")
    return path


def _found(given: str, sight: Sight) -> tuple[Root, Found]:
    """Return (root, model) for a path.

    The path is absolute, or exists below one of the roots.

    Links are resolved first, and their target is read. Raises ``_Unusable``, ``NotAModel``,
    ``OSError`` or ``RootSilent``.
    """
    roots = list(Root.objects.exclude(path=Root.REMOTE).order_by("path"))
    try:
        path = os.path.normpath(given if os.path.isabs(given) else below_a_root(given, roots))
        home, below = resolve_path(path, roots)
        if reach.within(home, ("dangling", path), partial(_dangles, path)):
            raise _Unusable("is a link to something that is not there")
    except NoSuchFolder as error:
        raise _Unusable(str(error)) from None
    except OutsideRoots as error:
        if error.lexical:
            raise _Unusable("leads through a link to a place outside the roots") from None
        raise _Unusable(
            "is outside your model folders"
            f" ({', '.join(map(sight.root, roots)) or 'there are none'})"
        ) from None
    settings, memory_bytes, inside = (
        settings_of(home),
        psutil.virtual_memory().total,
        others(home),
    )
    read = partial(_read, home.path, below, settings, memory_bytes, inside)
    return home, reach.within(home, ("register", below), read, longest=PATIENCE)


def _read(
    root: str, below: str, settings: Discovery, memory_bytes: int, inside: list[str]
) -> Found:
    """Read the path; it uses only the disk. Raises ``_Unusable``, ``NotAModel`` or ``OSError``."""
    home = to_native("/", root)
    _readable(os.path.join(home, below))
    return read_path.read(home, below, settings, memory_bytes, inside)[1]


def _dangles(path: str) -> bool:
    path = to_native("/", path)
    return os.path.islink(path) and not os.path.exists(path)


def _readable(path: str) -> None:
    if not os.path.lexists(path):
        raise _Unusable("does not exist")
    if not os.path.isdir(path) and not os.path.isfile(path):
        raise _Unusable("is neither a folder nor a file")
    try:
        if os.path.isdir(path):
            os.scandir(path).close()
        else:
            with open(path, "rb"):
                pass
    except OSError as error:
        raise _Unusable(f"cannot be read: {error.strerror}") from error


# -- hosted


def _hosted(
    data: Mapping[str, Any], name: str, errors: dict[str, str]
) -> tuple[Root | None, Found | None]:
    if not name:
        errors.setdefault("name", "say what the server calls the model")
    if data.get("path"):
        errors["path"] = "a hosted model has no path: give its endpoint"
    endpoint = data.get("endpoint")
    if not isinstance(endpoint, str) or not endpoint.strip():
        errors["endpoint"] = (
            "say where the server is: its base address, like https://models.example.org/v1"
        )
    elif reason := http_client.endpoint_fault(endpoint.strip()):
        errors["endpoint"] = reason
    if errors:
        return None, None
    root, _ = Root.objects.get_or_create(path=Root.REMOTE, defaults={"enabled": False})
    return root, read_path.hosted(base_address(str(endpoint)), name)


def base_address(endpoint: str) -> str:
    """Scheme and host in lowercase, no slash at the end: two spellings of one address are one."""
    address = urlsplit(endpoint.strip())
    return address._replace(
        scheme=address.scheme.lower(), netloc=address.netloc.lower(), path=address.path.rstrip("/")
    ).geturl()


# -- writing


def _write(
    root: Root, found: Found, name: str, curated: dict[str, Any], by: User, channel: str
) -> RegisteredModel:
    now = timezone.now()
    try:
        with transaction.atomic():
            Root.objects.select_for_update().get(pk=root.pk)
            if known := _known(root, found):
                raise AlreadyRegistered(known)
            model_id = new_id(
                name or to_text(found.name), to_text(found.path) if found.files else name, _is_taken
            )
            record = RegisteredModel(
                model_id=model_id, root=root, added_at=now, arrived_at=now, registered_manually=True
            )
            take(record, found, now)
            memories = deregistration.find(root, [record.path])
            for memory in memories.values():
                deregistration.restore(record, memory)
                record.registered_manually = True
                resolve(record)
            record.save()
            deregistration.relink([(record, memory) for memory in memories.values()])
            findings.after_scan([record])
            tags.sync([record])
            collections.refresh([record.pk])
            SkippedPath.objects.filter(root=root, place=record.place).delete()
            event_log.record(
                LogTopic.DISCOVERY,
                Severity.INFO,
                f"registered by {by.get_username()} ({channel})",
                model_id=record.model_id,
                path=record.path,
            )
            metadata.edit_many({record: curated}, by=by, channel=channel, batch=uuid4())
            webhooks.after_registration(record, by.get_username())
    except IntegrityError:
        known = _known(root, found)
        if known is None:
            raise
        raise AlreadyRegistered(known) from None
    return RegisteredModel.objects.select_related("root").get(pk=record.pk)


def _is_taken(model_id: str) -> bool:
    return bool(aliases.taken([model_id]))


def _known(root: Root, found: Found) -> str | None:
    """The model that has this path, or these files as its own."""
    path = to_text(found.path)
    above = [path]
    while "/" in above[-1] and found.files:
        above.append(above[-1].rpartition("/")[0])
    files = {to_text(entry.path) for entry in found.files}
    for record in RegisteredModel.objects.filter(root=root, path__in=[*above, "."]).only(
        "model_id", "path", "files"
    ):
        if record.path == path or (files and files <= {name for name, _ in record.files}):
            return record.model_id
    return None
