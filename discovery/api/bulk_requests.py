"""What a caller wants to change in many models: which models, and the operation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from discovery.api.bulk_edits_schemas import BulkRequest
from discovery.api.errors import ApiError, Loc, invalid
from discovery.api.metadata import given
from discovery.api.model_list import filters_of
from discovery.engine.core.vocabulary import AXES
from discovery.models import RegisteredModel
from discovery.services.access import permissions
from discovery.services.access.redaction import Sight
from discovery.services.bulk.bulk_edits import EditRefused
from discovery.services.bulk.operations import NothingToDo, Operation
from discovery.services.bulk.selections import Preview, Selection
from discovery.services.metadata.metadata import InvalidMetadata
from discovery.services.registry import aliases
from discovery.services.search import unknown_values
from discovery.services.search.model_filters import ModelFilters

if TYPE_CHECKING:
    from django.contrib.auth.models import User

#: Fields that another permission guards, which are changed by themselves.
_APART = {"visibility": "visibility", "groups": "visibility", "collections": "collection"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """The operation, the models that it is for, and the filters that found them."""

    operation: Operation
    selection: Selection
    filters: ModelFilters | None = None


def read(payload: BulkRequest, user: User) -> Wanted:
    """Return what is wanted.

    Raises ``ApiError`` for what cannot be done, or not by this person.
    """
    operation = _operation(payload)
    needed = permissions.OF_BULK[operation.kind]
    if reason := permissions.lacking(user, (needed,)):
        raise ApiError(403, reason)
    named: dict[str, list[Any]] = {
        name: [*operation.add.get(name, ()), *operation.remove.get(name, ())]
        for name in operation.fields
    }
    if refused := permissions.refusals(user, named):
        faults: list[tuple[Loc, str]] = [(("body", name), why) for name, why in refused.items()]
        raise ApiError(403, "You may not set this.", errors=faults)
    if payload.filter is None:
        return Wanted(operation, _named(payload.models or [], user))
    filters = filters_of(payload.filter, user, "body", "filter")
    return Wanted(operation, Selection(query=filters.as_query()), filters)


def _operation(payload: BulkRequest) -> Operation:
    lists = {
        how: sent.given() if (sent := getattr(payload, how)) else {} for how in ("add", "remove")
    }
    values = given(payload.set) if payload.set else {}
    values |= values.pop("category", None) or {}
    names = [*values, *lists["add"], *lists["remove"]]
    if payload.action == "validate":
        if names:
            text = "an edit that validates changes nothing: leave out set, add and remove"
            raise ApiError(
                422, "It is either a change or a validation.", errors=[(("body",), text)]
            )
        return Operation("validate")
    try:
        return Operation.read(_kind(names), values=values, **lists)
    except NothingToDo:
        text = "say in set, add or remove what the models are to have"
        raise ApiError(422, "There is nothing to do.", errors=[(("body",), text)]) from None
    except InvalidMetadata as error:
        faults: list[tuple[Loc, str]] = []
        for (place, name), text in ((loc, msg) for loc, msg in invalid(error, "body")):
            part = next((how for how in ("add", "remove") if name in lists[how]), "set")
            faults.append(((place, "set" if name in values else part, name), text))
        raise ApiError(422, "The change cannot be made like that.", errors=faults) from None


def _kind(names: list[str]) -> str:
    """The kind of bulk edit that these fields make."""
    apart = {_APART.get(name, "") for name in names}
    if len(apart) > 1:
        text = (
            "who sees models, and their collections, take permissions of their own: send them as"
            " an edit of their own"
        )
        raise ApiError(422, "These fields are changed apart.", errors=[(("body",), text)])
    if apart and (kind := apart.pop()):
        return kind
    if set(names) == {"tags"}:
        return "tags"
    return "category" if names and set(names) <= set(AXES) else "metadata"


def _named(model_ids: list[str], user: User) -> Selection:
    visible = RegisteredModel.objects.visible_to(user).only("model_id")
    found = aliases.find_many(visible, model_ids)
    faults: list[tuple[Loc, str]] = [
        (("body", "models", number), f"there is no model {model_id}")
        for number, model_id in enumerate(model_ids)
        if model_id not in found
    ]
    if faults:
        raise ApiError(422, "There are no such models; nothing was changed.", errors=faults)
    return Selection(ids=tuple(dict.fromkeys(record.model_id for record in found.values())))


def shown(wanted: Wanted, told: Preview, user: User) -> dict[str, Any]:
    """A preview as it is answered."""
    sight = Sight(user)
    unknown = {}
    if not told.total and wanted.filters is not None:
        unknown = unknown_values.without_models(user, wanted.filters)
    return {
        "total": told.total,
        "looked_at": told.looked_at,
        "changing": told.changing,
        "same": told.same,
        "failing": told.faulty,
        "fields": [
            {
                "field": name,
                "models": effect.models,
                "examples": [
                    {
                        "model_id": each.model_id,
                        "name": each.title,
                        "before": sight.change(name, each.before),
                        "after": sight.change(name, each.after),
                        "source": _source(each.source, sight),
                    }
                    for each in effect.examples
                ],
            }
            for name, effect in told.effects.items()
        ],
        "faults": [
            {"model_id": each.model_id, "name": each.title, "reason": each.reason}
            for each in told.faults
        ],
        "unknown": unknown,
    }


def _source(source: str, sight: Sight) -> str:
    edited = source.startswith("edited by ")
    return sight.edited(source.removeprefix("edited by ")) if edited else source


def refused(error: EditRefused) -> ApiError:
    """Models that cannot be changed, each with the reason."""
    faults: list[tuple[Loc, str]] = [
        (("body", "models", fault.model_id), fault.reason) for fault in error.faults
    ]
    return ApiError(409, f"Nothing was changed: {error}", errors=faults)
