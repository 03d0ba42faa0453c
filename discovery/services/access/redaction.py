"""What one person may know about this machine, other people and groups.

People who see every model may know everything. Others see the names of roots instead of their
paths, their own groups, and that a value was edited, but not by whom.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

from django.contrib.auth.models import User
from django.http import QueryDict

from discovery.models import Collection as Shelf
from discovery.models import RegisteredModel, Root
from discovery.models.registry import groups_of, sees_all

if TYPE_CHECKING:
    from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

    Person = AbstractBaseUser | AnonymousUser

SOMEBODY = "somebody"
#: Stands for a root that cannot be named: nothing is called so.
UNKNOWN = "?"

_ROOT_TERM = re.compile(r"(\broot:)(\"[^\"]*\"|\S+)", re.IGNORECASE)

#: What user names are made of.
_WORD = re.compile(r"[\w.@+-]+")


def labels(roots: Iterable[Root]) -> dict[int, str]:
    """Return {key: display name of a root}, all of them different."""
    called: dict[int, str] = {}
    for root in sorted(roots, key=lambda each: (not each.name, each.pk)):
        label, number = root.label, 2
        while label in called.values():
            label, number = f"{root.label} ({number})", number + 1
        called[root.pk] = label
    return called


class Sight:
    """What one person may know, for one request.

    It queries the database once for each need.
    """

    def __init__(self, user: Person | None) -> None:
        """Create the sight of a user; ``None`` is a command on this machine."""
        self.user = user
        self.everything = user is None or sees_all(user)

    # -- roots

    @cached_property
    def _rows(self) -> list[Root]:
        return list(Root.objects.only("path", "name"))

    @cached_property
    def labels(self) -> dict[int, str]:
        return labels(self._rows)

    @cached_property
    def roots(self) -> dict[int, str]:
        """{key: how it is shown}: paths, or names."""
        return {root.pk: root.path for root in self._rows} if self.everything else self.labels

    def root(self, root: Root) -> str:
        return (
            root.path
            if self.everything or root.path == Root.REMOTE
            else self.labels.get(root.pk, root.label)
        )

    def text(self, text: str) -> str:
        """A sentence without the paths of roots."""
        if self.everything or not ("/" in text or "\\" in text):
            return text
        for root in sorted(self._rows, key=lambda each: -len(each.path)):
            if root.path not in ("/", Root.REMOTE) and root.path in text:
                # A backslash is itself, not a reference.
                label = self.labels[root.pk].replace("\\", "\\\\")
                text = re.sub(rf"(?<![\w.-]){re.escape(root.path)}", label, text)
        return text

    def standing_in(self, record: RegisteredModel) -> RegisteredModel:
        """Return a copy of the model whose root shows its name instead of its path.

        It is for lines that people copy and must never be saved.
        """
        if self.everything or record.root.path == Root.REMOTE:
            return record
        shown = copy.copy(record)
        shown.root = Root(pk=record.root_id, path=self.root(record.root))
        return shown

    def query(self, query: str) -> str:
        """Return a saved query of the Models page with the names of roots instead of paths."""
        if self.everything or "root" not in query:
            return query
        told = QueryDict(query, mutable=True)
        told.setlist("root", [self._named(value) for value in told.getlist("root")])
        if text := told.get("q"):
            told["q"] = _ROOT_TERM.sub(
                lambda found: f'{found[1]}"{self._named(found[2].strip(chr(34)), like=True)}"', text
            )
        return told.urlencode()

    def _named(self, value: str, *, like: bool = False) -> str:
        """The name of the one root that a value means, as who sees every model means it."""
        means = partial(is_like, value) if like else value.__eq__
        meant = {
            root.pk
            for root in self._rows
            if means(root.path) or means(root.name) or means(self.labels[root.pk])
        }
        return self.labels[meant.pop()] if len(meant) == 1 else UNKNOWN

    # -- people and groups

    @cached_property
    def groups(self) -> frozenset[str]:
        """Return the names of the groups that this person is in."""
        return (
            frozenset(groups_of(self.user).values_list("name", flat=True))
            if self.user and self.user.pk
            else frozenset()
        )

    @cached_property
    def _collections(self) -> frozenset[str]:
        seen = (
            RegisteredModel.objects.visible_to(self.user).values("pk")
            if self.user
            else RegisteredModel.objects.values("pk")
        )
        return frozenset(Shelf.objects.filter(models__in=seen).values_list("name", flat=True))

    @cached_property
    def _others(self) -> frozenset[str]:
        own = self.user.get_username() if self.user else ""
        return frozenset(
            name for name in User.objects.values_list("username", flat=True) if name != own
        )

    def person(self, name: str) -> str:
        """Return the name of the person who did something, or an empty string.

        People always see their own name; others only where the viewer may know it.
        """
        return (
            name
            if self.everything or (self.user is not None and name == self.user.get_username())
            else ""
        )

    def edited(self, by: str) -> str:
        """``edited by anna``, or ``edited``."""
        return f"edited by {by}" if self.everything else "edited"

    def log(self, text: str) -> str:
        """A line of the log, without paths of roots and without names of other people."""
        if self.everything:
            return text

        def unnamed(found: re.Match[str]) -> str:
            return (
                SOMEBODY
                if found[0] in self._others or found[0].rstrip(".") in self._others
                else found[0]
            )

        return _WORD.sub(unnamed, self.text(text))

    def change(self, field: str, value: Any) -> Any:
        """Return a value before or after a change, without what this person may not know."""
        if self.everything:
            return value
        if field in ("groups", "collections") and isinstance(value, list):
            known = self.groups if field == "groups" else self._collections
            return [name for name in value if name in known]
        if field == "finding" and isinstance(value, Mapping):
            return {
                name: self.text(item) if isinstance(item, str) else item
                for name, item in value.items()
            }
        return value

    def told(self, items: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Problems or checks, whose sentences name no path of a root."""
        return [{**item, "message": self.text(str(item["message"]))} for item in items]


def is_like(value: str, name: str) -> bool:
    """As people type ``value``: in any case, ``*`` at either end for anything."""
    core, name = value.strip("*").casefold(), name.casefold()
    before, after = value.startswith("*"), value.endswith("*")
    if before and after:
        return core in name
    return name.endswith(core) if before else name.startswith(core) if after else name == core
