"""Registering a model by hand: a path inside the roots that scans do not find, or a model that another server runs.

What can be read is read by the engine, as a scan of that place would; what the person says is curated. A later scan that meets the same path
joins the record; one that does not come by still looks after it.
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

from discovery.engine import pointed
from discovery.engine.categorize import Categorizer
from discovery.engine.config import Discovery
from discovery.engine.describe import categorized
from discovery.engine.document import CATEGORIES
from discovery.engine.errors import NotAModel
from discovery.engine.model_ids import new_id
from discovery.engine.paths import is_under, to_native, to_text
from discovery.engine.types import Found, ModelType, Severity, Value
from discovery.models import Channel, Forgotten, RegisteredModel, Root, Skipped
from discovery.services import (
    collections,
    configs,
    findings,
    forgetting,
    journal,
    metadata,
    strictness,
    tags,
    webhooks,
)
from discovery.services.metadata import InvalidMetadata
from discovery.services.patience import ask
from discovery.services.records import resolve, take
from discovery.services.scans.roots import sync_roots

if TYPE_CHECKING:
    from django.contrib.auth.models import User

MAX_NAME = 300
MAX_PATH = 2_000
#: Seconds that the disk has to answer.
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


def register(data: Mapping[str, Any], *, by: User, through: str) -> RegisteredModel:
    """``{name, path, type, ...metadata}``, or ``{name, type: "OPENAI", endpoint, ...metadata}`` → its record. All or nothing.

    Raises ``InvalidMetadata`` (``errors``: {field: what is wrong}) or ``AlreadyRegistered``.
    """
    root, found, name, curated = _understood(data)
    if curated.get("type") == ModelType.HUGGINGFACE:
        read = found.values["type"].value if "type" in found.values else None
        curated["type"] = None if read in _HUB_TYPES else ModelType.TRANSFORMERS.value
    if name and name != to_text(found.name) and not curated.get("display_name"):
        curated["display_name"] = name
    return _write(root, found, name, curated, by, through)


def look(data: Mapping[str, Any]) -> Found:
    """What would be registered, read and categorized; nothing is written. Raises as ``register`` does."""
    root, found, _, _ = _understood(data)
    if known := _known(root, found):
        raise AlreadyRegistered(known)
    return found


def _understood(data: Mapping[str, Any]) -> tuple[Root, Found, str, dict[str, Any]]:
    """(root, what is there, its name as given, what the person says of it). Raises ``InvalidMetadata`` with all that is wrong."""
    errors: dict[str, str] = {}
    name = _name(data, errors)
    curated = _curated(data, errors)
    root, found = (
        _hosted(data, name, errors)
        if curated.get("type") == ModelType.OPENAI
        else _on_disk(data, errors)
    )
    if errors or root is None or found is None:
        raise InvalidMetadata(errors)
    return root, _categorized(found, curated), name, curated


def _categorized(found: Found, curated: Mapping[str, Any]) -> Found:
    """Of a hosted model nothing can be read but its name: the rules decide by what the person says it takes and gives."""
    categorizer = Categorizer(configs.rules())
    if found.files:
        return categorized(found, categorizer)
    said = {name: Value(curated[name], pointed.REGISTERED) for name in _FLOW if name in curated}
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
    elif reason := strictness.fault("name", name):
        errors["name"] = reason
    else:
        return name.strip()
    return ""


def _curated(data: Mapping[str, Any], errors: dict[str, str]) -> dict[str, Any]:
    """The metadata that is sent along, cleaned; what is empty is left to the files."""
    given = {str(field): value for field, value in data.items() if field not in IDENTITY}
    for field in [field for field in given if field in _KEYS]:
        errors[field] = (
            f"keys are never stored: name an environment variable that begins with {strictness.KEY_PREFIX} as api_key_variable"
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


def _on_disk(data: Mapping[str, Any], errors: dict[str, str]) -> tuple[Root | None, Found | None]:
    if data.get("endpoint"):
        errors["endpoint"] = "only a hosted model has an endpoint: its type is OPENAI"
    try:
        given = _given(data.get("path"))
        sync_roots()
        roots = {
            to_native("/", root.path): root
            for root in Root.objects.exclude(path=Root.REMOTE).order_by("path")
        }
        read = partial(
            _read,
            given,
            {native: root.path for native, root in roots.items()},
            configs.discovery(),
            psutil.virtual_memory().total,
        )
        answers = ask({("register", given): read}, PATIENCE)
        if not answers:
            raise _Unusable(
                f"the disk did not answer within {PATIENCE:.0f} seconds: a network drive may be away, or the folder too large"
            )
    except _Unusable as error:
        errors["path"] = str(error)
    except NotAModel as error:
        errors["path"] = f"no model can be registered here: {error.reason}"
    except OSError as error:
        errors["path"] = f"cannot be read: {error.strerror}"
    else:
        home, found = answers["register", given]
        return roots[home], found
    return None, None


def _given(path: Any) -> str:
    """Raises ``_Unusable`` for what cannot be the path of a model, whatever is on the disk."""
    if not isinstance(path, str) or not path.strip():
        raise _Unusable("say where the model is: an absolute path, or one below a root")
    if reason := strictness.fault("path", path):
        raise _Unusable(reason)
    if len(path) > MAX_PATH:
        raise _Unusable(
            f"has {len(path):,} characters; paths of at most {MAX_PATH:,} can be registered"
        )
    if ".." in re.split(r"[/\\]", path):
        raise _Unusable("must not contain '..': give the path as it is")
    return path


def _read(
    given: str, roots: Mapping[str, str], settings: Discovery, memory_bytes: int
) -> tuple[str, Found]:
    """(the root it lies in, the model) of an absolute path, or of one that exists below one of ``roots`` ({native path: as it is shown}).

    Asks the disk and nothing else. Raises ``_Unusable``, ``NotAModel`` or ``OSError``.
    """
    path = os.path.normpath(
        to_native("/", given) if os.path.isabs(given) else _below_one(given, list(roots))
    )
    real, places = os.path.realpath(path), {native: os.path.realpath(native) for native in roots}
    homes = [native for native, place in places.items() if is_under(real, place)]
    if not homes:
        if any(is_under(path, native) for native in roots):
            raise _Unusable("leads through a link to a place outside the roots")
        raise _Unusable(
            f"is outside the roots ({', '.join(roots.values()) or 'there are none'}): put the model into one of them"
        )
    _readable(path, real)
    home = max(homes, key=lambda native: len(places[native]))
    inside = [
        place for native, place in places.items() if native != home and is_under(native, home)
    ]
    below = os.path.relpath(real, places[home]).replace(os.sep, "/")
    return home, pointed.read(home, below, settings, memory_bytes, inside)[1]


def _below_one(given: str, roots: list[str]) -> str:
    places = [path for native in roots if os.path.lexists(path := to_native(native, given))]
    if len(places) > 1:
        raise _Unusable("is below several roots: give the absolute path")
    if not places:
        raise _Unusable("does not exist below any root")
    return places[0]


def _readable(path: str, real: str) -> None:
    if not os.path.lexists(path):
        raise _Unusable("does not exist")
    if not os.path.exists(real):
        raise _Unusable("is a link to something that is not there")
    if not os.path.isdir(real) and not os.path.isfile(real):
        raise _Unusable("is neither a folder nor a file")
    try:
        if os.path.isdir(real):
            os.scandir(real).close()
        else:
            with open(real, "rb"):
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
            "say where the server is: its base address, like http://127.0.0.1:8080/v1"
        )
    elif reason := strictness.endpoint_fault(endpoint.strip()):
        errors["endpoint"] = reason
    if errors:
        return None, None
    root, _ = Root.objects.get_or_create(path=Root.REMOTE, defaults={"enabled": False})
    return root, pointed.hosted(base_address(str(endpoint)), name)


def base_address(endpoint: str) -> str:
    """Scheme and host in lowercase, no slash at the end: two spellings of one address are one."""
    address = urlsplit(endpoint.strip())
    return address._replace(
        scheme=address.scheme.lower(), netloc=address.netloc.lower(), path=address.path.rstrip("/")
    ).geturl()


# -- writing


def _write(
    root: Root, found: Found, name: str, curated: dict[str, Any], by: User, through: str
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
            record = RegisteredModel(model_id=model_id, root=root, added_at=now, by_hand=True)
            take(record, found, now)
            memories, _ = forgetting.memories(root, [record.path])
            for memory in memories.values():
                forgetting.give_back(record, memory)
                record.by_hand = True
                resolve(record)
            record.save()
            forgetting.link_again([(record, memory) for memory in memories.values()])
            findings.after_scan([record])
            tags.sync([record])
            collections.refresh([record.pk])
            Skipped.objects.filter(root=root, place=record.place).delete()
            journal.record(
                Channel.DISCOVERY,
                Severity.INFO,
                f"registered by {by.get_username()} ({through})",
                model_id=record.model_id,
                path=record.path,
            )
            metadata.edit_many({record: curated}, by=by, through=through, batch=uuid4())
            webhooks.after_registration(record, by.get_username())
    except IntegrityError:
        known = _known(root, found)
        if known is None:
            raise
        raise AlreadyRegistered(known) from None
    return RegisteredModel.objects.select_related("root").get(pk=record.pk)


def _is_taken(model_id: str) -> bool:
    return (
        RegisteredModel.objects.filter(model_id=model_id).exists()
        or Forgotten.objects.filter(model_id=model_id).exists()
    )


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
