"""Where a model comes from and what is derived from it.

Relatives are bases, fine-tunes, adapters, quantizations, and the same model in other formats.

Models name their base in text (``meta-llama/Llama-3.2-3B``, ``../models/llama``); the registry has
its own names for them. Both are compared by the last part of the name, ignoring case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.db.models import Q

from discovery.engine.core import names
from discovery.engine.core.vocabulary import ModelType
from discovery.engine.identify.model_ids import slug
from discovery.models import RegisteredModel, RegisteredModelQuerySet
from discovery.services.registry import aliases

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    User = AbstractBaseUser | AnonymousUser

#: Bases of bases that are followed.
MAX_ANCESTORS = 4
#: Relatives of one kind that are told.
MAX_EACH = 100

_COLUMNS = (
    "model_id", "name", "display_name", "type", "format", "status", "size_bytes", "parameter_count",
    "base_model", "base_model_relation",
    "model_family", "primary", "quantization", "dtype", "path",
)  # fmt: skip
#: Words that name a format or a quantization, not a model.
_FORMAT_WORDS = frozenset(
    (
        "gguf", "ggml", "onnx", "openvino", "awq", "gptq", "mlx", "exl2", "exl3", "bnb", "ct2",
        "ctranslate2", "coreml", "tflite", "hf",
        "safetensors", "pytorch", "4bit", "8bit", "int4", "int8", "w4a16", "w8a8", "fp8", "fp16",
        "bf16", "imatrix", "quantized", "torchscript", "executorch", "llamafile", "litertlm",
        "ncnn", "mnn", "rknn", "tfjs", "mlmodelc",
    )
)  # fmt: skip
_LAST = "\uffff"


@dataclass(frozen=True, slots=True)
class Relative:
    """A model and how it is related.

    ``record`` is ``None`` where it is named but not in the registry, or not for this person.
    """

    name: str
    relation: str
    record: RegisteredModel | None = None


@dataclass(frozen=True, slots=True)
class Family:
    """``ancestors`` begin with the nearest.

    ``formats`` are other records of the same model, ``siblings`` come from the same base.
    """

    ancestors: tuple[Relative, ...] = ()
    children: tuple[Relative, ...] = ()
    formats: tuple[Relative, ...] = ()
    siblings: tuple[Relative, ...] = ()

    @property
    def members(self) -> int:
        return len(self.ancestors) + len(self.children) + len(self.formats) + len(self.siblings)


def family(record: RegisteredModel, user: User) -> Family:
    """Everything that is known, as far as ``user`` may see it."""
    ancestors = _ancestors(record, user)
    children = _children(record, user)
    formats = _formats(record, user)
    told = {
        record.pk,
        *(each.record.pk for each in (*ancestors, *children, *formats) if each.record),
    }
    return Family(ancestors, children, formats, _siblings(record, user, told))


def base_of(record: RegisteredModel, user: User) -> RegisteredModel | None:
    """Return the full model that an adapter belongs to, if it is registered."""
    base = (
        _named(record.base_model, user, record.pk)
        if record.base_model and record.type == ModelType.PEFT
        else None
    )
    return RegisteredModel.objects.select_related("root").get(pk=base.pk) if base else None


def _visible(user: User) -> RegisteredModelQuerySet:
    return RegisteredModel.objects.visible_to(user).only(*_COLUMNS)


def _tail(name: str) -> str:
    return name.replace("\\", "/").rstrip("/").rpartition("/")[2]


def _named(name: str, user: User, not_this: int) -> RegisteredModel | None:
    """Return the model named ``name``: by its full name first, then by the last part of it.

    The full name is preferred because an author makes it more specific.
    """
    tail = _tail(name)
    if not tail:
        return None
    forms = list(dict.fromkeys([name, tail]))
    spelled = (
        Q(name__in=forms)
        | Q(sort_name__in=[form.casefold() for form in forms])
        | Q(model_id=slug(tail))
    )
    # Asked without regard to who may see them: each half of the condition has an index, both
    # together have none.
    keys = list(
        RegisteredModel.objects.filter(spelled)
        .exclude(pk=not_this)
        .order_by()
        .values_list("pk")
        .union(aliases.former([slug(tail)]).exclude(model=not_this))[:MAX_EACH]
    )
    found = list(_visible(user).filter(pk__in=[key for (key,) in keys]))
    found.sort(
        key=lambda each: (
            each.name != name,
            each.name.casefold() != name.casefold(),
            bool(each.base_model),
            each.pk,
        )
    )
    return found[0] if found else None


def _ancestors(record: RegisteredModel, user: User) -> tuple[Relative, ...]:
    found: list[Relative] = []
    seen, at = {record.pk}, record
    while at.base_model and len(found) < MAX_ANCESTORS:
        base = _named(at.base_model, user, at.pk)
        found.append(
            Relative(base.title if base else at.base_model, at.base_model_relation or "", base)
        )
        if base is None or base.pk in seen:
            break
        seen.add(base.pk)
        at = base
    return tuple(each for each in found if each.record is None or each.record.pk != record.pk)


def _children(record: RegisteredModel, user: User) -> tuple[Relative, ...]:
    """Models that name this one as their base.

    They use its own name, or a longer one with the same last part.
    """
    own = dict.fromkeys(
        [record.name, _tail(record.name), *([record.display_name] if record.display_name else [])]
    )
    if record.author:
        own[f"{record.author}/{_tail(record.name)}"] = None
    others = (
        RegisteredModel.objects.visible_to(user)
        .exclude(pk=record.pk)
        .order_by("base_model", "pk")
        .values_list("pk", flat=True)
    )
    keys = list(others.filter(base_model__in=list(own))[:MAX_EACH])
    keys += others.filter(base_model__isnull=False, base_model__iendswith=f"/{_tail(record.name)}")[
        : MAX_EACH - len(keys)
    ]
    found = _visible(user).filter(pk__in=keys).order_by("base_model_relation", "sort_name", "pk")
    return tuple(Relative(each.title, each.base_model_relation or "", each) for each in found)


def _siblings(record: RegisteredModel, user: User, told: Iterable[int]) -> tuple[Relative, ...]:
    if not record.base_model:
        return ()
    found = (
        _visible(user)
        .filter(base_model=record.base_model)
        .exclude(pk__in=list(told))
        .order_by("sort_name", "pk")[:MAX_EACH]
    )
    return tuple(Relative(each.title, each.base_model_relation or "", each) for each in found)


def _formats(record: RegisteredModel, user: User) -> tuple[Relative, ...]:
    """Records whose names differ in words for formats and quantizations alone."""
    key = same_model(record.name)
    prefix = _beginning(record.name, key)
    if not prefix:
        return ()
    near = (
        _visible(user)
        .filter(sort_name__gte=prefix, sort_name__lt=prefix + _LAST)
        .exclude(pk=record.pk)
        .order_by("sort_name", "pk")[:MAX_EACH]
    )
    alike = [
        each
        for each in near
        if same_model(each.name) == key
        and (each.format, each.quantization) != (record.format, record.quantization)
    ]
    return tuple(Relative(each.title, "format", each) for each in alike)


def _beginning(name: str, key: str) -> str:
    """Return the part of ``name`` before its first word for a format."""
    folded = _tail(name).casefold()
    match = re.match(r"[-_. ]+".join(map(re.escape, key.split("-"))), folded) if key else None
    return match[0] if match else folded


def same_model(name: str) -> str:
    """Return what the names of one model have in common.

    ``Llama-3.1-8B-GGUF`` and ``llama-3.1-8b.Q4_K_M.gguf`` both give ``llama-3.1-8b``.
    """
    words = re.split(r"[-_. ]+", names.base_stem(_tail(name)))
    return "-".join(word for word in words if word and word not in _FORMAT_WORDS)


def named_alike(name: str, other: str) -> bool:
    """Return whether two names belong to the same model.

    ``org/Llama-3.1-8B`` and ``llama-3.1-8b`` do.
    """
    return bool(_tail(name)) and _tail(name).casefold() == _tail(other).casefold()
