"""View the registry as a group or a person: read only, and never beyond one's own rights.

The viewers stay themselves, with their own stars, saved views and tokens. From the other person
come the groups whose models are shown, and the permissions, as far as the viewer has them too.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import Group, User

from discovery.engine.core.text import clean
from discovery.models import Right
from discovery.services.access.permissions import may_all

#: What it takes: whoever looks sees every model themselves.
RIGHTS = (Right.GRANT, Right.VIEW_ALL)

KINDS = ("group", "person")


class ViewAsError(Exception):
    """The sentence says why."""


@dataclass(frozen=True, slots=True)
class View:
    """The group or the account whose view is shown, by its name."""

    kind: str
    name: str

    def as_json(self) -> dict[str, str]:
        return {"kind": self.kind, "name": self.name}

    @property
    def label(self) -> str:
        return f"the group {self.name}" if self.kind == "group" else self.name


def find(kind: str, name: str) -> View:
    """Return the view of a group or an active account; raises ``ViewAsError`` where none exists."""
    wanted = clean(name, 150)
    if kind == "group" and Group.objects.filter(name=wanted).exists():
        return View(kind, wanted)
    if kind == "person" and User.objects.filter(username=wanted, is_active=True).exists():
        return View(kind, wanted)
    what = "group" if kind == "group" else "active account"
    raise ViewAsError(f"There is no {what} called {wanted or 'nothing'}.")


def stand_in(viewer: User, kept: Any) -> tuple[User, View] | None:
    """Return ``viewer`` with the groups and permissions of the person that the session names.

    Returns ``None`` where the viewer may no longer view as others, or the other person is gone.
    """
    if not isinstance(kept, dict) or not may_all(viewer, RIGHTS):
        return None
    try:
        view = find(str(kept.get("kind")), str(kept.get("name")))
    except ViewAsError:
        return None
    if view.kind == "group":
        groups = Group.objects.filter(name=view.name)
        permitted = _permissions_of(groups.get())
        staff = False
    else:
        person = User.objects.get(username=view.name)
        groups = Group.objects.filter(user=person)
        permitted, staff = person.get_all_permissions(), person.is_staff
    shown: Any = copy.copy(viewer)
    shown.is_superuser = False
    shown.is_staff = staff and viewer.is_staff
    # As ``ModelBackend`` remembers what it has looked up for an account.
    shown._perm_cache = permitted & viewer.get_all_permissions()
    shown.viewed_groups = list(groups.values_list("pk", flat=True))
    return shown, view


def _permissions_of(group: Group) -> set[str]:
    rows = group.permissions.values_list("content_type__app_label", "codename")
    return {f"{app}.{codename}" for app, codename in rows}
