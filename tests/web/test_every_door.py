"""Every address × method × role against the one table in ``tests/doors.py``.

What is added to a URL conf needs a row there.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.models import AnonymousUser, Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.contrib.messages.storage.fallback import FallbackStorage
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404
from django.template.backends.django import Template
from django.test import Client, RequestFactory
from django.test.client import ClientHandler
from django.urls import get_resolver, resolve
from django.urls.resolvers import URLPattern, URLResolver
from django_q.models import Schedule

from discovery.engine.core.service_words import TokenScope
from discovery.models import (
    AccessChange,
    ApiToken,
    BulkEdit,
    Collection,
    DeepValidation,
    Download,
    Finding,
    LoadTest,
    LogEntry,
    MetadataChange,
    MetadataImport,
    Notice,
    Plugin,
    RegisteredModel,
    RegistrySync,
    RemoteMatch,
    Right,
    Root,
    SavedView,
    ScanRun,
    SettingChange,
    SkippedPath,
    Tag,
    Visibility,
    Webhook,
    roles,
)
from discovery.services.access import access_rules, permissions, rule_terms
from discovery.services.core import config_files
from discovery.services.integrations import api_tokens
from discovery.services.metadata import metadata
from tests import doors
from tests.doors import TABLE, Cells, Who
from tests.people import administer, join, permit
from tests.support.pages import furnish, shelve

#: One for all requests: each would load the middleware anew.
HANDLER = ClientHandler(enforce_csrf_checks=False)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class Role:
    """``rights`` is what it holds; ``token`` and ``scope`` where it comes as a program."""

    name: str
    user: Any
    rights: frozenset[str] = frozenset()
    token: str = ""
    scope: str = ""


def routes(resolver: URLResolver | None = None, base: str = "") -> Iterator[str]:
    for pattern in (resolver or get_resolver()).url_patterns:
        route = base + str(pattern.pattern)
        if isinstance(pattern, URLPattern):
            yield route
        else:
            yield from routes(pattern, route)


def test_every_address_has_a_row_and_every_row_an_address() -> None:
    assert sorted(set(routes())) == sorted(TABLE)


@pytest.fixture
def known(
    db: None, models_root: Path, admin_user: User, config_dir: Path, task_queue: Any
) -> dict[str, Any]:
    """One row of each kind, somebody else's, about a public model."""
    shelve(models_root)
    furnish(admin_user)
    RegisteredModel.objects.update(visibility=Visibility.PUBLIC)
    model = RegisteredModel.objects.get(model_id="llama-chat")
    granting, group = (
        Collection.objects.create(name="Granting"),
        Group.objects.create(name="readers"),
    )
    granting.groups.add(group)
    metadata.edit(model, {"visibility": "RESTRICTED"}, by=admin_user, channel="page")
    metadata.edit(model, {"visibility": "PUBLIC"}, by=admin_user, channel="page")
    metadata.edit(model, {"collections": ["Granting", "Shortlist"]}, by=admin_user, channel="page")
    (config_files.RULES.path).write_text(
        config_files.RULES.path.read_text() if config_files.RULES.path.exists() else "{}"
    )
    SavedView.objects.update(shared=True)

    def last(field):
        return (
            MetadataChange.objects.filter(field=field)
            .order_by("-pk")
            .values_list("pk", flat=True)
            .first()
        )

    rule = access_rules.make(
        rule_terms.term("tag", "x"), visibility="", groups=[group], by=admin_user
    )
    plugin = Plugin.objects.get()
    return {
        "rule": rule.pk,
        "access_change": AccessChange.objects.latest("pk").pk,
        "edit": BulkEdit.objects.get(operation__kind="tags").pk,
        "collection": Collection.objects.get(name="Shortlist").pk,
        "import": MetadataImport.objects.get().pk,
        "scan": ScanRun.objects.get().pk,
        "notice": Notice.objects.get().pk,
        "tag": Tag.objects.get(name="kept").pk,
        "webhook": Webhook.objects.get().pk,
        "token": ApiToken.objects.get().pk,
        "view": SavedView.objects.get().pk,
        "test": LoadTest.objects.get().pk,
        "leftovers": "empty",
        "schedule": "scan-the-roots",
        "stray": Schedule.objects.create(func="os.system", name="stray").pk,
        "deep": DeepValidation.objects.get().pk,
        "model": model.pk,
        "plugin": plugin.pk,
        "plugin_key": plugin.key,
        "registry": "huggingface",
        "match": RemoteMatch.objects.get().pk,
        "sync": RegistrySync.objects.get().pk,
        "root": Root.objects.get().pk,
        "download": Download.objects.get().pk,
        "setting": SettingChange.objects.get().pk,
        "entry": LogEntry.objects.filter(model_id="bert-base").latest("pk").pk,
        "change": last("license"),
        "batch": MetadataChange.objects.get(pk=last("license")).batch,
        "finding": Finding.objects.get().pk,
        "skipped": SkippedPath.objects.latest("pk").pk,
        "kind": ContentType.objects.get_for_model(RegisteredModel).pk,
        "group": group.pk,
        "nobody": "x",
        "nothing": "x-x",
        "person": User.objects.create_user("somebody", password="x").pk,
        "license": last("license"),
        "visibility": last("visibility"),
        "collections": last("collections"),
    }


@pytest.fixture(autouse=True)
def nothing_is_drawn(settings: Any) -> Iterator[None]:
    """Doors are what is tried here: pages are looked at elsewhere, and their templates take most of
    the time.
    """
    settings.API_RATE_TOKEN = settings.API_RATE_ADDRESS = ""
    logging.disable(logging.CRITICAL)  # each refusal is a warning with a traceback
    with patch.object(Template, "render", lambda self, context=None, request=None: ""):
        yield
    logging.disable(logging.NOTSET)


def address(route: str, known: dict[str, Any], model_id: str = "llama-chat") -> str:
    route = {
        "admin/^(?P<app_label>auth|discovery)/$": "admin/discovery/",
        "admin/(?P<url>.*)$": "admin/nonsense/",
    }.get(route, route)
    parts: dict[str, Any] = {
        "model_id": model_id,
        "axis": "secondary",
        "category": "creative",
        "name": "license",
    }
    parts |= (
        {"name": "scans"}
        if route.startswith("help/")
        else {"name": "type"}
        if route.startswith("facets/")
        else {}
    )
    for start, names in sorted(doors.PARTS.items(), key=lambda item: len(item[0])):
        if route.startswith(start):
            parts |= {part: known[key] for part, key in names.items()}
    return "/" + re.sub(r"<(?:\w+:)?(\w+)>", lambda match: str(parts[match[1]]), route)


def ask(role: Role, cell: str, path: str, known: dict[str, Any]) -> Any:
    """Undone afterwards, whatever it did."""
    method, _, body = cell.partition(" ")
    headers = {"Authorization": f"Bearer {role.token}"} if role.token else {}
    client = Client(raise_request_exception=False, headers=headers)
    client.handler = HANDLER
    sent: dict[str, Any] = {"data": body or "{}", "content_type": "application/json"}
    if method == "POST" and not path.startswith("/api/"):
        filled = re.sub(r"\{(\w+)\}", lambda match: str(known[match[1]]), body)
        sent = {"data": filled, "content_type": "application/x-www-form-urlencoded"}
    user = AnonymousUser() if role.token else role.user
    with (
        patch("django.contrib.auth.middleware.get_user", lambda request: user),
        transaction.atomic(),
    ):
        response = client.generic(method, path, **sent) if method != "GET" else client.get(path)
        if response.streaming:
            b"".join(response)
        transaction.set_rollback(True)
    return response


def passes(response: Any, path: str = "") -> bool:
    """``path`` is what was asked for: Django's admin sends whoever asks for a row that is not
    theirs to its front page.
    """
    if response.status_code in (301, 302):
        there = response["Location"]
        lost = there == "/admin/" and path.startswith(
            ("/admin/auth/", "/admin/discovery/", "/admin/logout/")
        )
        return not there.startswith(("/login/?", "/admin/login/?")) and not lost
    return response.status_code not in (401, 403, 404, 405)


def expected(who: Who, role: Role) -> bool:
    if who.level == "everybody":
        return True
    signed_in = bool(role.token) or role.user.is_authenticated
    if who.level == "nobody" or not signed_in or (role.token and who.scope is None):
        return False
    if role.token and list(TokenScope.values).index(role.scope) < list(TokenScope.values).index(
        str(who.scope)
    ):
        return False
    if role.user.is_superuser:
        return True
    if who.level == "superuser" or (who.staff and not role.user.is_staff):
        return False
    return who.every <= role.rights and (not who.some or bool(who.some & role.rights))


def wrong(role: Role, table: dict[str, Cells], known: dict[str, Any]) -> list[str]:
    """What is not as the table says."""
    found = []
    for route, cells in table.items():
        for cell, who in cells.items():
            path = address(route, known)
            response = ask(role, cell, path, known)
            if passes(response, path) != expected(who, role) or response.status_code >= 500:
                found.append(
                    f"{role.name}: {cell} /{route} answers {response.status_code}, and should"
                    f" {'' if expected(who, role) else 'not '}pass"
                )
    return found


def is_refused(role: Role, cell: str, path: str, known: dict[str, Any]) -> bool:
    """Whether the view itself refuses somebody who is signed in: asked without the middleware,
    which takes most of the time.
    """
    method, _, body = cell.partition(" ")
    filled = re.sub(r"\{(\w+)\}", lambda match: str(known[match[1]]), body)
    sent = (
        (filled, "application/x-www-form-urlencoded")
        if method == "POST" and not path.startswith("/api/")
        else (body or "{}", "application/json")
    )
    request = (
        RequestFactory().generic(method, path, *sent)
        if method != "GET"
        else RequestFactory().get(path)
    )
    request._dont_enforce_csrf_checks = True  # type: ignore[attr-defined]
    request.user = role.user
    request.session = {}  # type: ignore[assignment]
    request._messages = FallbackStorage(request)  # type: ignore[attr-defined]
    match = request.resolver_match = resolve(path)
    try:
        response = match.func(request, *match.args, **match.kwargs)
    except (PermissionDenied, Http404):
        return True
    return not passes(response, path)


def opened(role: Role, table: dict[str, Cells], known: dict[str, Any]) -> list[str]:
    """What lets somebody in against the table.

    What lets them in by the table is asked through the whole server elsewhere.
    """
    closed = [
        (route, cell)
        for route, cells in table.items()
        for cell, who in cells.items()
        if not expected(who, role)
    ]
    return [
        f"{role.name}: {cell} /{route}"
        for route, cell in closed
        if not is_refused(role, cell, address(route, known), known)
    ]


def named() -> list[str]:
    """Permissions that any cell asks for."""
    return sorted(
        {
            right
            for cells in TABLE.values()
            for who in cells.values()
            for right in who.every | who.some
        }
    )


def every_permission() -> list[str]:
    rows = Permission.objects.filter(
        content_type__app_label__in=("discovery", "auth", "django_q")
    ).select_related("content_type")
    return [f"{row.content_type.app_label}.{row.codename}" for row in rows]


@pytest.mark.slow
def test_each_role_passes_the_doors_that_the_table_says(
    known: dict[str, Any], admin_user: User, user: User
) -> None:
    administrator = administer(User.objects.create_user("administrator"))
    people = [
        Role("anonymous", AnonymousUser()),
        Role("in no group", user),
        Role("staff without permissions", User.objects.create_user("staff", is_staff=True)),
        *(
            Role(each.name, join(User.objects.create_user(each.name), each), each.rights)
            for each in roles.ROLES
        ),
        Role("administrator with staff status", administrator, roles.ADMINISTRATOR.rights),
        Role("superuser", admin_user),
    ]
    found = [fault for role in people for fault in wrong(role, {**TABLE, **doors.HOLES}, known)]
    assert not found, "\n".join(found)


@pytest.mark.slow
def test_permissions_that_no_door_asks_for_open_none(known: dict[str, Any]) -> None:
    unasked = frozenset(every_permission()) - set(named())
    user = User.objects.create_user("odd", is_staff=True)
    role = Role("what no door asks for", permit(user, *unasked), unasked)
    assert opened(role, {**TABLE, **doors.HOLES}, known) == []


@pytest.mark.slow
def test_the_rights_of_a_cell_open_it_and_everything_but_one_of_them_does_not(
    known: dict[str, Any],
) -> None:
    """So no other right opens it either, alone or with others."""
    faults, people = [], {}

    def holding(rights: frozenset[str], name: str) -> Role:
        if rights not in people:
            people[rights] = permit(
                User.objects.create_user(f"person-{len(people)}", is_staff=True), *rights
            )
        return Role(name, people[rights], rights)

    everything = frozenset(every_permission())
    for route, cells in {**TABLE, **doors.HOLES}.items():
        for cell, who in cells.items():
            if who.every or who.some:
                ways = [who.every | {right} for right in sorted(who.some)] or [who.every]
                for way in ways:
                    faults += wrong(
                        holding(way, f"with {sorted(way)}"), {route: {cell: who}}, known
                    )
            lacking = [everything - {right} for right in sorted(who.every)] + (
                [everything - who.some - {str(Right.VIEW_ALL)}] if who.some else []
            )
            lacking += [everything] if who.level in ("nobody", "superuser") else []
            for held in lacking:
                faults += opened(
                    holding(held, f"without {sorted(everything - held)}"),
                    {route: {cell: who}},
                    known,
                )
    assert faults == []


def test_no_right_reaches_models_that_one_does_not_see(known: dict[str, Any], user: User) -> None:
    """Whatever somebody may do with models, they do it with those that they see; and so do the rows
    about a model.
    """
    RegisteredModel.objects.update(visibility=Visibility.ADMIN_ONLY)
    user.is_staff = True
    user.save()
    names = [name for name in every_permission() if name != Right.VIEW_ALL]
    role = Role("everything but seeing all", permit(user, *names), frozenset(names))
    about = (
        "<str:model_id>",
        "<model_id>",
        "admin/discovery/registeredmodel/<",
        "admin/discovery/finding/<",
        "admin/discovery/metadatachange/<",
    )
    about += ("admin/discovery/logentry/<", "admin/r/", "history/undo/")
    leads_on = ("admin/discovery/", "admin/r/")  # plain redirects, to an address that asks again
    for route, cells in TABLE.items():
        if not any(part in route for part in about) or (
            route.startswith(leads_on) and route.endswith("_id>/")
        ):
            continue
        for cell in cells:
            path = address(route, known)
            response = ask(role, cell, path, known)
            assert not passes(response, path), f"{cell} {route}: {response.status_code}"
    for right in Right:
        assert not role.user.has_perm(right, RegisteredModel.objects.get(pk=known["model"])), right
    assert not permissions.may(role.user, Right.DECIDE, Finding.objects.get(pk=known["finding"]))


@pytest.mark.slow
def test_tokens_open_no_more_than_their_scope_and_their_owner(
    known: dict[str, Any], admin_user: User, user: User
) -> None:
    faults = []
    editor = permit(User.objects.create_user("editor"), Right.EDIT)
    for owner, held in (
        (admin_user, frozenset(map(str, Right))),
        (user, frozenset()),
        (editor, frozenset({str(Right.EDIT)})),
    ):
        for scope in TokenScope.values:
            token = api_tokens.MARK + f"{owner.pk}-{scope}"
            # As if made while the owner had more permissions than now.
            ApiToken.objects.create(
                user=owner, name=scope, prefix="x", digest=api_tokens._digest(token), scope=scope
            )
            role = Role(f"token {scope} of {owner}", owner, held, token, scope)
            faults += wrong(
                role,
                {route: cells for route, cells in TABLE.items() if route.startswith("api/models")},
                known,
            )
            # Pages know sessions alone.
            faults += [
                route
                for route in ("", "models/", "system/")
                if passes(ask(role, "GET", f"/{route}", known))
            ]
    assert faults == []


@pytest.mark.slow
def test_a_method_without_a_cell_is_not_allowed(
    known: dict[str, Any], admin_user: User, user: User
) -> None:
    for route, cells in TABLE.items():
        listed = {cell.partition(" ")[0] for cell in cells}
        for method in METHODS:
            # Django's own takes PUT for POST.
            if method in listed or route in ("admin/(?P<url>.*)$", "login/"):
                continue
            for role in (
                Role("superuser", admin_user),
                Role("viewer", user),
                Role("anonymous", AnonymousUser()),
            ):
                path = address(route, known)
                response = ask(role, method, path, known)
                # Theirs answer any method like GET.
                if route.startswith(("admin/", "api/openapi.json")):
                    assert not passes(response, path) or expected(
                        cells.get("GET", doors.NOBODY), role
                    ), f"{role.name}: {method} {route}"
                else:
                    assert not passes(response), (
                        f"{role.name}: {method} {route} answers {response.status_code}"
                    )


def test_the_table_is_data_that_can_be_read() -> None:
    for cells in TABLE.values():
        for cell in cells:
            method, _, body = cell.partition(" ")
            assert method in METHODS
            assert not body.startswith("{") or method == "POST" or json.loads(body) is not None
