"""Operations on many models at once, and their effect on each model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from discovery.engine.core.text import plural
from discovery.engine.identify.document import OBJECTS
from discovery.models import RegisteredModel
from discovery.services.metadata import metadata
from discovery.services.metadata.plans import FieldError, Plan, fault

#: What pages and the administration offer, in this order.
KINDS = ("metadata", "tags", "category", "visibility", "collection", "validate")

#: Fields that grow and shrink by single entries.
_GROWING = {"tags", *metadata.LINKS}


class NothingToDo(Exception):
    """The operation would not change any model."""


@dataclass(frozen=True, slots=True)
class Operation:
    """The changes that a bulk edit makes to each model.

    ``values`` maps fields to cleaned values (``None``: back to automatic), ``add`` and ``remove``
    map lists to their entries.

    Objects are merged key by key into the current value; a key set to ``None`` is removed.
    """

    kind: str
    values: Mapping[str, Any] = field(default_factory=dict)
    add: Mapping[str, Sequence[str]] = field(default_factory=dict)
    remove: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @classmethod
    def read(
        cls,
        kind: str,
        *,
        values: Mapping[str, Any] | None = None,
        add: Mapping[str, Sequence[str]] | None = None,
        remove: Mapping[str, Sequence[str]] | None = None,
    ) -> Operation:
        """From what somebody entered.

        Raises ``metadata.InvalidMetadata``, ``NothingToDo``, or ``LookupError`` for another kind.
        """
        if kind not in KINDS:
            raise LookupError(kind)
        wanted = metadata.clean(values or {})
        # An empty list of tags is meant: no tags, whatever the files say.
        wanted |= {
            name: [] for name, value in (values or {}).items() if name == "tags" and value == []
        }
        added, removed = (
            {name: list(_entries(name, items)) for name, items in (lists or {}).items() if items}
            for lists in (add, remove)
        )
        if kind != "validate" and not (wanted or added or removed):
            raise NothingToDo
        for name in added.keys() & removed.keys():
            if both := sorted(set(added[name]) & set(removed[name])):
                raise metadata.InvalidMetadata(
                    {name: f"{', '.join(both[:5])} cannot be added and removed at once"}
                )
        return cls(kind, wanted, added, removed)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Operation:
        return cls(
            data["kind"], data.get("values", {}), data.get("add", {}), data.get("remove", {})
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "values": dict(self.values),
            "add": dict(self.add),
            "remove": dict(self.remove),
        }

    @property
    def fields(self) -> list[str]:
        return list(dict.fromkeys([*self.values, *self.add, *self.remove]))

    def plan(self, records: Sequence[RegisteredModel]) -> Plan:
        """Return the changes to these records, in a fixed number of queries.

        A field that has its value already is left out.
        """
        plan = Plan(linked=metadata.standing_links(dict.fromkeys(records, self.fields)))
        for record in records:
            try:
                changes = self._changes(record, plan.linked)
            except metadata.InvalidMetadata as error:
                plan.faults.append(fault(record, error.errors))
                continue
            if changes:
                plan.changes[record] = changes
        return plan

    def _changes(self, record: RegisteredModel, linked: metadata.Linked) -> dict[str, Any]:
        """Return the changes to one record.

        Raises ``InvalidMetadata`` with what it cannot be given.
        """
        changes = {
            name: value for name, value in self.values.items() if not (name in OBJECTS and value)
        }
        for name in self.values.keys() - changes.keys():
            changes[name] = _whole(name, metadata.merged(record, {name: self.values[name]})[name])
        for name in dict.fromkeys((*self.add, *self.remove)):
            have = _listed(metadata.effective(record, name, linked))
            gone, new = self.remove.get(name, ()), self.add.get(name, ())
            wanted = [item for item in have if item not in gone] + [
                item for item in new if item not in have
            ]
            if wanted != have:
                changes[name] = sorted(wanted) if name in metadata.LINKS else _whole(name, wanted)
        if refused := metadata.refusals(record, changes):
            raise metadata.InvalidMetadata(refused)
        return {
            name: value
            for name, value in changes.items()
            if metadata.decided(record, name, linked) != value
        }


def summary(faults: Sequence[FieldError]) -> str:
    """``2 models cannot be changed: …``"""
    first = faults[0]
    return (
        f"{plural(len(faults), 'model')} cannot be changed, the first is {first.title[:80]}:"
        f" {first.reason}"
    )


def _entries(name: str, items: Sequence[str]) -> Sequence[str]:
    if name not in _GROWING:
        raise metadata.InvalidMetadata({name: "is not a list of tags, collections or groups"})
    return metadata.clean({name: list(items)})[name] or ()


def _whole(name: str, value: Any) -> Any:
    """Return the cleaned value of one model.

    An empty value stays empty, because returning a field to automatic is a different request.
    """
    return metadata.clean({name: value})[name] if value else value


def _listed(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list) else []
