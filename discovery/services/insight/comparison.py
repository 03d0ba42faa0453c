"""Models side by side: which ones were meant, and how the tensors of alike ones differ."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from discovery.models import RegisteredModel
from discovery.services.insight import model_contents
from discovery.services.registry import aliases

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

FEWEST, MOST = 2, 6

#: Differing tensors that are listed.
MAX_TENSORS = 500

#: (dtype, shape) of a tensor; ``None`` where a model has none of that name.
Kind = tuple[str, tuple[int, ...]] | None


@dataclass(frozen=True, slots=True)
class Chosen:
    """``models`` in the order they were named.

    ``unknown`` are ids without a model, or without one that the person may see; ``left_out`` were
    too many.
    """

    models: Sequence[RegisteredModel]
    unknown: Sequence[str]
    left_out: Sequence[str]

    @property
    def ids(self) -> list[str]:
        return [model.model_id for model in self.models]


@dataclass(frozen=True, slots=True)
class Difference:
    """One tensor, and what each model has under its name."""

    name: str
    kinds: Sequence[Kind]


@dataclass(frozen=True, slots=True)
class Tensors:
    """The compared tensors.

    ``same`` tensors are alike in all models, ``differing`` are not; the first of those are
    ``rows``. ``faults`` describe what could not be read.
    """

    same: int
    differing: int
    rows: Sequence[Difference]
    faults: Sequence[str]


def choose(user: AbstractBaseUser | AnonymousUser, ids: Sequence[str]) -> Chosen:
    """The models of these ids, at most ``MOST``."""
    named = list(dict.fromkeys(each for each in ids if each))
    asked, left_out = named[:MOST], named[MOST:]
    found = aliases.find_many(
        RegisteredModel.objects.visible_to(user).select_related("root"), asked
    )
    return Chosen(
        list(dict.fromkeys(found[each] for each in asked if each in found)),
        [each for each in asked if each not in found],
        left_out,
    )


def why_not_tensors(models: Sequence[RegisteredModel]) -> str:
    """Why the tensors of these models are not compared; empty when they can be."""
    if (
        len({model.architecture for model in models}) > 1
        or not models
        or not models[0].architecture
    ):
        return "Tensors are compared between models of one architecture."
    gone = [model.title for model in models if model.missing_since]
    return f"The files of {gone[0]} are missing." if gone else ""


def tensors(models: Sequence[RegisteredModel]) -> Tensors:
    """Read from the headers now, the main variant of each model."""
    read = model_contents.tensors_of(models)
    faults = [
        f"{model.title}: {problem.message}"
        for model, each in zip(models, read, strict=True)
        for problem in each.problems
    ]
    for model, each in zip(models, read, strict=True):
        if each.read < each.total or len(each.rows) >= model_contents.MAX_TENSORS:
            faults.append(f"{model.title}: only its first {len(each.rows):,} tensors were read")
        elif not each.rows and not each.problems:
            faults.append(f"{model.title}: its weight files list no tensors")
    kinds = [
        {row.tensor.name: (row.tensor.dtype, row.tensor.shape) for row in each.rows}
        for each in read
    ]
    names = list(dict.fromkeys(row.tensor.name for each in read for row in each.rows))
    rows = [
        Difference(name, [own.get(name) for own in kinds])
        for name in names
        if len({own.get(name) for own in kinds}) > 1
    ]
    return Tensors(len(names) - len(rows), len(rows), rows[:MAX_TENSORS], faults)
