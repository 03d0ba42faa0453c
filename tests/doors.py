"""The table of doors: every address and method, and who passes.

An address without a row here fails ``tests/web/test_every_door.py``.

A row is ``route: {"METHOD": who}``, the route as the URL conf spells it. ``"POST
action=quarantine"`` is a method with a body that is another question than the method alone; ``PUT
{"visibility": "PUBLIC"}`` the same with JSON. A method without a cell has to be answered 405 (below
``admin/`` Django answers it like GET).

Rows of ``/bulk/``, ``/import/`` and ``tags/taken-back/`` are about work that somebody else asked
for: that takes the right to see every model, one's own does not.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from discovery.engine.core.service_words import TokenScope
from discovery.models import Right
from discovery.services.access.permissions import IMPORTING, OF_BULK

Cells = dict[str, "Who"]


@dataclass(frozen=True)
class Who:
    """``level`` is everybody, signed in, superuser or nobody.

    ``every`` right is needed, and one of ``some`` where there are any.

    ``staff``: the door of Django's admin besides. ``scope``: what a token needs besides.
    """

    level: str = "signed in"
    every: frozenset[str] = frozenset()
    some: frozenset[str] = frozenset()
    staff: bool = False
    scope: str | None = None


EVERYBODY, SIGNED_IN, SUPERUSER, NOBODY = Who("everybody"), Who(), Who("superuser"), Who("nobody")
READ = Who(scope=TokenScope.READ)
SUPERUSER_TOKEN = Who("superuser", scope=TokenScope.ADMIN)


def has(*rights: str) -> Who:
    return Who(every=frozenset(map(str, rights)))


def has_one(rights: Iterable[str], *every: str) -> Who:
    return Who(some=frozenset(map(str, rights)), every=frozenset(map(str, every)))


def staff(*rights: str, some: Iterable[str] = ()) -> Who:
    return Who(every=frozenset(map(str, rights)), some=frozenset(map(str, some)), staff=True)


def token(scope: str, *rights: str, some: Iterable[str] = ()) -> Who:
    return Who(every=frozenset(map(str, rights)), some=frozenset(map(str, some)), scope=scope)


def reading(who: Who) -> Cells:
    return {"GET": who}


def posting(who: Who) -> Cells:
    return {"POST": who}


def form(who: Who) -> Cells:
    return {"GET": who, "POST": who}


ALL = Right.VIEW_ALL
BULK = has_one(OF_BULK.values())
CLEAN_UP = has(Right.CLEAN_UP, ALL)
RULES = has(Right.RULES, ALL)
SCANS = has(Right.VIEW_SCANS, ALL)
ACCESS = has(Right.GRANT, ALL)
ROOTS = has(Right.ROOTS, ALL)
HOOKS = (Right.VIEW_WEBHOOKS, ALL)

PAGES: dict[str, Cells] = {
    "": reading(SIGNED_IN),
    "login/": form(EVERYBODY),
    # Without a provider they do not exist; tests/web/test_openid_sign_in.py asks them with one.
    "login/provider/": reading(NOBODY),
    "login/provider/callback/": reading(NOBODY),
    "logout/": posting(SIGNED_IN),
    "set-password/<uidb64>/<token>/": form(EVERYBODY),
    "account/": form(SIGNED_IN),
    "account/preferences/": posting(SIGNED_IN),
    "account/sessions/end/": posting(SIGNED_IN),
    "users/": reading(has(Right.VIEW_USERS)),
    "users/new/": form(has(Right.ADD_USER)),
    "users/changes/": reading(has(Right.VIEW_USERS)),
    "users/<int:pk>/": {
        "GET": has(Right.VIEW_USERS),
        "POST username=n": has(Right.VIEW_USERS, Right.CHANGE_USER),
    },
    "users/<int:pk>/groups/": posting(has(Right.CHANGE_USER)),
    "users/<int:pk>/act/": {
        **{
            f"POST action={name}": has(Right.CHANGE_USER)
            for name in (
                "link",
                "activate",
                "deactivate",
                "sign-out",
                "revoke",
                "unlink",
                "nonsense",
            )
        },
        **{
            f"POST action={name}": SUPERUSER
            for name in ("superuser", "no-superuser", "staff", "no-staff")
        },
    },
    "users/<int:pk>/link/": reading(has_one((Right.CHANGE_USER, Right.ADD_USER))),
    "users/groups/": {
        "GET": has(Right.VIEW_GROUPS),
        "POST name=n": has(Right.VIEW_GROUPS, Right.ADD_GROUP),
    },
    "users/groups/<int:pk>/": {
        "GET": has(Right.VIEW_GROUPS),
        "POST name=n": has(Right.VIEW_GROUPS, Right.CHANGE_GROUP),
    },
    "users/groups/<int:pk>/permissions/": posting(SUPERUSER),
    "users/groups/<int:pk>/delete/": posting(has(Right.DELETE_GROUP)),
    "overview/live/": reading(has(ALL, Right.SYSTEM, Right.VIEW_SCANS, Right.VIEW_FINDINGS)),
    "help/": reading(SIGNED_IN),
    "help/appear/": reading(SIGNED_IN),
    "help/<slug:name>/": reading(has(Right.SYSTEM)),
    "bulk/": {
        "GET": BULK,
        "POST kind=metadata": has(Right.EDIT),
        "POST kind=tags": has(Right.EDIT),
        "POST kind=category": has(Right.EDIT),
        "POST kind=visibility": has(Right.GRANT),
        "POST kind=collection": has(Right.CHANGE_COLLECTION),
        "POST kind=validate": has(Right.VALIDATE),
        "POST kind=nonsense": has(Right.EDIT),
    },
    "bulk/<int:pk>/": reading(has_one(OF_BULK.values(), ALL)),
    "bulk/<int:pk>/stop/": posting(has_one(OF_BULK.values(), ALL)),
    "bulk/<int:pk>/go-on/": posting(has(Right.EDIT, ALL)),
    "activity/": reading(SIGNED_IN),
    "downloads/": reading(has(Right.DOWNLOAD, ALL)),
    "downloads/new/": form(has(Right.DOWNLOAD, ALL)),
    "downloads/<int:pk>/": reading(has(Right.DOWNLOAD, ALL)),
    "downloads/<int:pk>/act/": posting(has(Right.DOWNLOAD, ALL)),
    "history/": reading(SIGNED_IN),
    "history/undo/": {
        "POST change={license}": has(Right.EDIT),
        "POST change={visibility}": has(Right.GRANT),
        "POST change={collections}": has(Right.GRANT, Right.CHANGE_COLLECTION),
    },
    "logs/": reading(has(Right.VIEW_LOG)),
    "duplicates/": reading(CLEAN_UP),
    "duplicates/plan/": posting(CLEAN_UP),
    "duplicates/look/": posting(CLEAN_UP),
    "duplicates/compare/": posting(has(Right.CLEAN_UP, ALL, Right.VALIDATE)),
    "compare/": form(SIGNED_IN),
    "facets/<slug:name>/": reading(SIGNED_IN),
    "models/": reading(SIGNED_IN),
    "models/<str:model_id>/": reading(SIGNED_IN),
    "models/<str:model_id>/collections/": {
        "POST add=Shortlist": has(Right.CHANGE_COLLECTION),
        "POST add=Granting": has(Right.CHANGE_COLLECTION, Right.GRANT),
        "POST remove=Granting": has(Right.CHANGE_COLLECTION, Right.GRANT),
    },
    "models/<str:model_id>/favourite/": posting(SIGNED_IN),
    "models/<str:model_id>/access/": form(has(Right.GRANT)),
    "models/<str:model_id>/family/": reading(SIGNED_IN),
    "models/<str:model_id>/files/": reading(SIGNED_IN),
    "models/<str:model_id>/tensors/": reading(SIGNED_IN),
    "models/<str:model_id>/metadata/": {"GET": SIGNED_IN, "POST": has(Right.EDIT)},
    "models/<str:model_id>/metadata/<str:name>/": form(has(Right.EDIT)),
    "models/<str:model_id>/history/": reading(SIGNED_IN),
    "models/<str:model_id>/memory/": reading(SIGNED_IN),
    "models/<str:model_id>/health/": reading(SIGNED_IN),
    "models/<str:model_id>/health/live/": reading(SIGNED_IN),
    "models/<str:model_id>/health/act/": {
        **{
            f"POST action={name}": has(Right.VALIDATE)
            for name in ("validate", "deep", "stop-deep", "load", "nonsense")
        },
        "POST action=quarantine": has(Right.GRANT),
        "POST action=lift-quarantine": has(Right.GRANT),
    },
    "access/": reading(ACCESS),
    "access/cell/": {
        "POST cell=rule-{rule} {group} 1": ACCESS,
        "POST cell=collection-{collection} {group} 1": has(
            Right.GRANT, ALL, Right.CHANGE_COLLECTION
        ),
    },
    "access/changes/": reading(ACCESS),
    "access/changes/undo/": {"POST change={access_change}": ACCESS},
    "access/default/": posting(ACCESS),
    "access/rules/new/": form(ACCESS),
    "access/rules/<int:pk>/": form(ACCESS),
    "access/view-as/": posting(ACCESS),
    "access/view-as/end/": posting(SIGNED_IN),
    "collections/": reading(SIGNED_IN),
    "collections/new/": {
        **form(has(Right.ADD_COLLECTION)),
        "POST name=n&groups={group}": has(Right.ADD_COLLECTION, Right.GRANT),
    },
    "collections/<int:pk>/": reading(SIGNED_IN),
    "collections/<int:pk>/edit/": {
        **form(has(Right.CHANGE_COLLECTION)),
        "POST name=n&groups={group}": has(Right.CHANGE_COLLECTION, Right.GRANT),
    },
    "collections/<int:pk>/delete/": posting(has(Right.DELETE_COLLECTION)),
    "export/": reading(SIGNED_IN),
    "import/": form(has(*IMPORTING)),
    "import/<int:pk>/": reading(has(*IMPORTING)),
    "import/<int:pk>/act/": posting(has(*IMPORTING)),
    "problems/": reading(has(Right.VIEW_FINDINGS)),
    "problems/decide/": {
        "POST finding={finding}&action=accept&reason=r": has(Right.VIEW_FINDINGS, Right.DECIDE),
        "POST finding={finding}&action=snooze": has(Right.VIEW_FINDINGS, Right.DECIDE),
        "POST finding={finding}&action=reopen": has(Right.VIEW_FINDINGS, Right.DECIDE),
        "POST finding={finding}&action=rescan": has(Right.VIEW_FINDINGS, Right.VALIDATE),
    },
    "register/": form(has(Right.REGISTER)),
    "report/": reading(has(Right.EDIT)),
    "report/<str:model_id>/<str:name>/": form(has(Right.EDIT)),
    "rules/": reading(RULES),
    "rules/json/": form(RULES),
    "rules/undo/": posting(RULES),
    "rules/<str:axis>/<str:category>/": form(RULES),
    "scans/": reading(has(Right.VIEW_SCANS)),
    "scans/progress/": reading(has(Right.VIEW_SCANS)),
    "scans/start/": posting(has(Right.SCAN)),
    "scans/compare/": reading(SCANS),
    "scans/skipped/": reading(SCANS),
    "scans/unrecognized/": reading(SCANS),
    "scans/unrecognized/support/": posting(has(Right.VIEW_SCANS, ALL, Right.ROOTS)),
    "scans/<int:pk>/": reading(SCANS),
    "models/<str:model_id>/registry/": form(has(Right.EDIT)),
    "registries/": reading(has_one((Right.SETTINGS, Right.EDIT))),
    "registries/matches/": reading(has(Right.EDIT)),
    "registries/matches/<int:pk>/": reading(has(Right.EDIT)),
    "registries/matches/<int:pk>/decide/": posting(has(Right.EDIT)),
    "registries/<str:registry>/": form(has(Right.SETTINGS)),
    "registries/<str:registry>/search/": reading(has(Right.SETTINGS)),
    "registries/<str:registry>/sync/": posting(has(Right.SETTINGS)),
    "scans/<int:pk>/stop/": posting(has(Right.SCAN)),
    "scans/moves/": reading(has(Right.JOIN, ALL)),
    "scans/moves/join/": form(has(Right.JOIN, ALL)),
    "scans/roots/<int:pk>/": form(has(Right.ROOTS)),
    "settings/": form(ROOTS),
    "settings/found/": reading(ROOTS),
    "settings/roots/<int:pk>/": posting(ROOTS),
    "settings/roots/<int:pk>/remove/": posting(has(Right.ROOTS, ALL, Right.FORGET)),
    "settings/scanning/": form(has(Right.SETTINGS)),
    "settings/limits/": form(has(Right.SETTINGS)),
    "settings/machines/": form(has(Right.SETTINGS)),
    "settings/plugins/": reading(has(Right.SETTINGS)),
    "settings/plugins/reload/": posting(has(Right.SETTINGS)),
    "settings/plugins/<int:pk>/switch/": posting(has(Right.SETTINGS)),
    "settings/history/": reading(has(Right.SETTINGS)),
    "settings/history/<int:pk>/undo/": posting(has(Right.SETTINGS)),
    "system/": reading(has(Right.SYSTEM)),
    "system/live/": reading(has(Right.SYSTEM)),
    "system/schedules/": posting(has(Right.SCHEDULES)),
    "system/notices/<int:pk>/confirm/": posting(SUPERUSER),
    "tags/": {"GET": SIGNED_IN, "POST": has(Right.ADD_TAG)},
    "tags/<int:pk>/": {
        "POST action=colour": has(Right.CHANGE_TAG),
        "POST action=rename&name=n": has(Right.CHANGE_TAG, Right.EDIT),
        "POST action=merge&name=n": has(Right.CHANGE_TAG, Right.EDIT),
        "POST action=delete": has(Right.CHANGE_TAG, Right.EDIT, Right.DELETE_TAG),
    },
    "tags/taken-back/<int:pk>/": posting(has(Right.CHANGE_TAG, Right.EDIT, ALL)),
    "webhooks/": {"GET": has(*HOOKS), "POST": has(*HOOKS, Right.ADD_WEBHOOK)},
    "webhooks/<int:pk>/act/": {
        **{
            f"POST action={name}": has(*HOOKS, Right.CHANGE_WEBHOOK)
            for name in ("test", "on", "off", "nonsense")
        },
        "POST action=delete": has(*HOOKS, Right.DELETE_WEBHOOK),
    },
    "tokens/": form(SIGNED_IN),
    "tokens/<int:pk>/revoke/": posting(has(Right.TOKENS)),
    "welcome/": form(has(Right.ROOTS, ALL, Right.SCAN)),
    "views/": form(SIGNED_IN),
    "views/<int:pk>/": posting(has(Right.SHARE_VIEWS)),
}

API: dict[str, Cells] = {
    "api/docs": reading(EVERYBODY),
    "api/examples": reading(EVERYBODY),
    "api/openapi.json": reading(EVERYBODY),
    "api/": reading(EVERYBODY),
    "api/models/discovered": reading(EVERYBODY),
    "api/models/discovery/status": reading(EVERYBODY),
    "api/models/discovery/scans": reading(token(TokenScope.READ, Right.VIEW_SCANS, ALL)),
    "api/models/discovery/refresh": posting(token(TokenScope.ADMIN, Right.SCAN)),
    "api/models/discovery/scans/<scan_id>/cancel": posting(token(TokenScope.ADMIN, Right.SCAN)),
    "api/models/discovery/logs": reading(READ),
    "api/models/discovery/comparison": reading(token(TokenScope.READ, Right.VIEW_SCANS, ALL)),
    "api/models/discovery/skipped": reading(token(TokenScope.READ, Right.VIEW_SCANS, ALL)),
    "api/models/discovery/explain": reading(token(TokenScope.READ, Right.SYSTEM, ALL)),
    "api/models/discovery/scans/<scan_id>": reading(token(TokenScope.READ, Right.VIEW_SCANS, ALL)),
    "api/models/discovery/scans/<scan_id>/events": reading(
        token(TokenScope.READ, Right.VIEW_SCANS, ALL)
    ),
    "api/models/discovery/unrecognized": reading(token(TokenScope.READ, Right.VIEW_SCANS, ALL)),
    "api/models/discovery/unrecognized/support": posting(
        token(TokenScope.ADMIN, Right.VIEW_SCANS, ALL, Right.ROOTS)
    ),
    "api/models/discovery/moves": reading(token(TokenScope.READ, Right.JOIN, ALL)),
    "api/models/discovery/moves/comparison": reading(token(TokenScope.READ, Right.JOIN, ALL)),
    "api/models/discovery/moves/join": posting(token(TokenScope.WRITE, Right.JOIN, ALL)),
    "api/models/discovery/moves/reject": posting(token(TokenScope.WRITE, Right.JOIN, ALL)),
    "api/models/register": posting(token(TokenScope.WRITE, Right.REGISTER)),
    "api/models/<model_id>/metadata": {
        'PUT {"license": "mit"}': token(TokenScope.WRITE, Right.EDIT),
        'PUT {"visibility": "PUBLIC"}': token(TokenScope.WRITE, Right.EDIT, Right.GRANT),
        'PUT {"groups": []}': token(TokenScope.WRITE, Right.EDIT, Right.GRANT),
        'PUT {"collections": ["Shortlist", "Granting"]}': token(
            TokenScope.WRITE, Right.EDIT, Right.CHANGE_COLLECTION
        ),
        'PUT {"collections": []}': token(
            TokenScope.WRITE, Right.EDIT, Right.CHANGE_COLLECTION, Right.GRANT
        ),
    },
    "api/models/<model_id>/category": {"PUT {}": token(TokenScope.WRITE, Right.EDIT)},
    "api/models/metadata/bulk-update": {
        'POST {"updates": []}': token(TokenScope.WRITE, Right.EDIT)
    },
    "api/models/<model_id>": {"GET": EVERYBODY, "DELETE": token(TokenScope.WRITE, Right.FORGET)},
    "api/models/<model_id>/files": reading(EVERYBODY),
    "api/models/<model_id>/tensors": reading(EVERYBODY),
    "api/models/<model_id>/metadata-raw": reading(EVERYBODY),
    "api/models/<model_id>/history": reading(READ),
    "api/models/<model_id>/access": reading(READ),
    "api/models/<model_id>/validate": {
        "GET": EVERYBODY,
        "POST": token(TokenScope.WRITE, Right.VALIDATE),
    },
    "api/models/<model_id>/test-load": posting(token(TokenScope.WRITE, Right.VALIDATE)),
    "api/models/<model_id>/test-load/<test_id>": reading(READ),
    "api/changes": reading(READ),
    "api/changes/<change_id>": reading(READ),
    "api/changes/<change_id>/undo": posting(token(TokenScope.WRITE, Right.EDIT)),
    "api/changes/batches/<batch>": reading(READ),
    "api/changes/batches/<batch>/undo": posting(token(TokenScope.WRITE, Right.EDIT)),
    "api/bulk-edits": {
        "GET": token(TokenScope.READ, some=OF_BULK.values()),
        'POST {"filter": {}, "set": {"license": "mit"}}': token(TokenScope.WRITE, Right.EDIT),
        'POST {"filter": {}, "set": {"visibility": "PUBLIC"}}': token(
            TokenScope.WRITE, Right.GRANT
        ),
        'POST {"filter": {}, "add": {"collections": ["Granting"]}}': token(
            TokenScope.WRITE, Right.CHANGE_COLLECTION, Right.GRANT
        ),
        'POST {"filter": {}, "action": "validate"}': token(TokenScope.WRITE, Right.VALIDATE),
    },
    "api/bulk-edits/preview": {
        'POST {"filter": {}, "set": {"license": "mit"}}': token(TokenScope.READ, Right.EDIT)
    },
    "api/bulk-edits/<edit_id>": reading(token(TokenScope.READ, ALL, some=(*OF_BULK.values(), ALL))),
    "api/bulk-edits/<edit_id>/cancel": posting(
        token(TokenScope.WRITE, ALL, some=(*OF_BULK.values(), ALL))
    ),
    "api/bulk-edits/<edit_id>/resume": posting(token(TokenScope.WRITE, Right.EDIT, ALL)),
    "api/models/<model_id>/test-load/<test_id>/cancel": posting(
        token(TokenScope.WRITE, Right.VALIDATE)
    ),
    "api/models/<model_id>/validations": reading(READ),
    "api/models/<model_id>/validations/<validation_id>": reading(READ),
    "api/models/<model_id>/validations/<validation_id>/cancel": posting(
        token(TokenScope.WRITE, Right.VALIDATE)
    ),
    "api/models/<model_id>/problems": reading(READ),
    "api/models/<model_id>/quarantine": {
        "PUT": token(TokenScope.WRITE, Right.GRANT),
        "DELETE": token(TokenScope.WRITE, Right.GRANT),
    },
    "api/tokens": {"GET": READ, "POST": token(TokenScope.WRITE)},
    "api/tokens/<token_id>": reading(token(TokenScope.READ, Right.TOKENS)),
    "api/tokens/<token_id>/revoke": posting(token(TokenScope.WRITE, Right.TOKENS)),
    "api/webhooks": {
        "GET": token(TokenScope.READ, *HOOKS),
        "POST": token(TokenScope.ADMIN, *HOOKS, Right.ADD_WEBHOOK),
    },
    "api/webhooks/deliveries": reading(token(TokenScope.READ, *HOOKS)),
    "api/webhooks/<webhook_id>": {
        "GET": token(TokenScope.READ, *HOOKS),
        "PUT": token(TokenScope.ADMIN, *HOOKS, Right.CHANGE_WEBHOOK),
        "DELETE": token(TokenScope.ADMIN, *HOOKS, Right.DELETE_WEBHOOK),
    },
    "api/webhooks/<webhook_id>/test": posting(
        token(TokenScope.ADMIN, *HOOKS, Right.CHANGE_WEBHOOK)
    ),
    "api/webhooks/<webhook_id>/deliveries": reading(token(TokenScope.READ, *HOOKS)),
    "api/downloads": {
        "GET": token(TokenScope.READ, Right.DOWNLOAD, ALL),
        "POST": token(TokenScope.ADMIN, Right.DOWNLOAD, ALL),
    },
    "api/downloads/preview": posting(token(TokenScope.ADMIN, Right.DOWNLOAD, ALL)),
    "api/downloads/<download_id>": reading(token(TokenScope.READ, Right.DOWNLOAD, ALL)),
    **{
        f"api/downloads/<download_id>/{what}": posting(token(TokenScope.ADMIN, Right.DOWNLOAD, ALL))
        for what in ("pause", "resume", "cancel")
    },
    "api/roots": {
        "GET": token(TokenScope.READ, Right.ROOTS, ALL),
        "POST": token(TokenScope.ADMIN, Right.ROOTS, ALL),
    },
    "api/roots/found": reading(token(TokenScope.READ, Right.ROOTS, ALL)),
    "api/roots/<root_id>": {
        "GET": token(TokenScope.READ, Right.ROOTS, ALL),
        "PUT": token(TokenScope.ADMIN, Right.ROOTS, ALL),
        "DELETE": token(TokenScope.ADMIN, Right.ROOTS, Right.FORGET, ALL),
    },
    "api/roots/<root_id>/move": posting(token(TokenScope.ADMIN, Right.ROOTS)),
    "api/schedules": reading(token(TokenScope.ADMIN, Right.SYSTEM)),
    "api/schedules/<name>": {"PUT": token(TokenScope.ADMIN, Right.SCHEDULES)},
    "api/schedules/<name>/run": posting(token(TokenScope.ADMIN, Right.SCHEDULES)),
    "api/schedules/strays/<schedule_id>": {"DELETE": token(TokenScope.ADMIN, Right.SCHEDULES)},
    "api/system/queue": reading(token(TokenScope.ADMIN, Right.SYSTEM)),
    "api/settings": {
        "GET": token(TokenScope.ADMIN, Right.SETTINGS),
        "PUT": token(TokenScope.ADMIN, Right.SETTINGS),
    },
    "api/settings/changes": reading(token(TokenScope.ADMIN, Right.SETTINGS)),
    "api/settings/changes/<setting_change_id>/undo": posting(
        token(TokenScope.ADMIN, Right.SETTINGS)
    ),
    "api/completeness": reading(token(TokenScope.READ, Right.EDIT)),
    "api/models/<model_id>/family": reading(READ),
    "api/models/<model_id>/memory": reading(READ),
    "api/compare": reading(READ),
    "api/disk-map": reading(READ),
    "api/export": reading(READ),
    "api/imports": {
        "GET": token(TokenScope.READ, *IMPORTING),
        "POST": token(TokenScope.WRITE, *IMPORTING),
    },
    "api/imports/<import_id>": {
        "GET": token(TokenScope.READ, *IMPORTING),
        "DELETE": token(TokenScope.WRITE, *IMPORTING),
    },
    "api/imports/<import_id>/apply": posting(token(TokenScope.WRITE, *IMPORTING)),
    "api/rules": {
        "GET": token(TokenScope.READ, Right.RULES, ALL),
        "PUT": token(TokenScope.ADMIN, Right.RULES, ALL),
    },
    "api/rules/try": posting(token(TokenScope.READ, Right.RULES, ALL)),
    "api/rules/undo": posting(token(TokenScope.ADMIN, Right.RULES, ALL)),
    "api/clean-up/items/<kind>": reading(token(TokenScope.READ, Right.CLEAN_UP, ALL)),
    "api/clean-up/plan": posting(token(TokenScope.READ, Right.CLEAN_UP, ALL)),
    "api/clean-up/look": posting(token(TokenScope.READ, Right.CLEAN_UP, ALL)),
    "api/clean-up/compare": posting(token(TokenScope.WRITE, Right.CLEAN_UP, ALL, Right.VALIDATE)),
    "api/problems": reading(token(TokenScope.READ, Right.VIEW_FINDINGS)),
    **{
        f"api/problems/{name}": posting(token(TokenScope.WRITE, Right.VIEW_FINDINGS, Right.DECIDE))
        for name in ("accept", "snooze", "reopen")
    },
    "api/tags": {
        "GET": EVERYBODY,
        'POST {"name": "n", "color": "blue"}': token(TokenScope.WRITE, Right.ADD_TAG),
    },
    "api/tags/<tag_id>": {
        "GET": EVERYBODY,
        'PUT {"color": "blue"}': token(TokenScope.WRITE, Right.CHANGE_TAG),
        'PUT {"name": "n"}': token(TokenScope.WRITE, Right.CHANGE_TAG, Right.EDIT),
        "DELETE": token(TokenScope.WRITE, Right.CHANGE_TAG, Right.EDIT, Right.DELETE_TAG),
    },
    "api/tags/<tag_id>/merge": posting(token(TokenScope.WRITE, Right.CHANGE_TAG, Right.EDIT)),
    "api/models/<model_id>/tags": {'POST {"add": ["n"]}': token(TokenScope.WRITE, Right.EDIT)},
    "api/models/<model_id>/collections": {
        'POST {"add": ["Shortlist"]}': token(TokenScope.WRITE, Right.CHANGE_COLLECTION),
        'POST {"add": ["Granting"]}': token(TokenScope.WRITE, Right.CHANGE_COLLECTION, Right.GRANT),
    },
    "api/collections": {
        "GET": READ,
        'POST {"name": "n"}': token(TokenScope.WRITE, Right.ADD_COLLECTION),
        'POST {"name": "n", "groups": ["readers"]}': token(
            TokenScope.WRITE, Right.ADD_COLLECTION, Right.GRANT
        ),
    },
    "api/collections/<collection_id>": {
        "GET": READ,
        'PUT {"name": "n"}': token(TokenScope.WRITE, Right.CHANGE_COLLECTION),
        'PUT {"groups": ["readers"]}': token(
            TokenScope.WRITE, Right.CHANGE_COLLECTION, Right.GRANT
        ),
        "DELETE": token(TokenScope.WRITE, Right.DELETE_COLLECTION),
    },
    "api/collections/<collection_id>/models": posting(
        token(TokenScope.WRITE, Right.CHANGE_COLLECTION)
    ),
    "api/views": {"GET": READ, 'POST {"name": "n"}': token(TokenScope.WRITE)},
    "api/views/<view_id>": {
        "GET": READ,
        'PUT {"name": "n"}': token(TokenScope.WRITE, Right.SHARE_VIEWS),
        "DELETE": token(TokenScope.WRITE, Right.SHARE_VIEWS),
    },
    "api/favorites": reading(READ),
    "api/models/<model_id>/favorite": {
        "PUT": token(TokenScope.WRITE),
        "DELETE": token(TokenScope.WRITE),
    },
    "api/access/matrix": reading(token(TokenScope.READ, Right.GRANT, ALL)),
    "api/access/rules": {
        "GET": token(TokenScope.READ, Right.GRANT, ALL),
        'POST {"kind": "tag", "value": "n", "visibility": "PUBLIC"}': token(
            TokenScope.WRITE, Right.GRANT, ALL
        ),
    },
    "api/access/rules/preview": posting(token(TokenScope.READ, Right.GRANT, ALL)),
    "api/access/rules/<rule_id>": {
        "GET": token(TokenScope.READ, Right.GRANT, ALL),
        "PUT": token(TokenScope.WRITE, Right.GRANT, ALL),
        "DELETE": token(TokenScope.WRITE, Right.GRANT, ALL),
    },
    "api/access/default": {
        "GET": token(TokenScope.READ, Right.GRANT, ALL),
        "PUT": token(TokenScope.WRITE, Right.GRANT, ALL),
    },
    "api/access/changes": reading(token(TokenScope.READ, Right.GRANT, ALL)),
    "api/access/changes/<access_change_id>/undo": posting(
        token(TokenScope.WRITE, Right.GRANT, ALL)
    ),
    "api/users": reading(token(TokenScope.READ, Right.VIEW_USERS)),
    "api/users/changes": reading(token(TokenScope.READ, Right.VIEW_USERS)),
    "api/groups": reading(token(TokenScope.READ, Right.VIEW_GROUPS)),
    "api/categories": reading(EVERYBODY),
    "api/registries": reading(token(TokenScope.ADMIN, Right.SETTINGS)),
    "api/registries/<registry>": {
        'PATCH {"enabled": false}': token(TokenScope.ADMIN, Right.SETTINGS)
    },
    "api/registries/<registry>/sync": posting(token(TokenScope.ADMIN, Right.SETTINGS)),
    "api/registries/<registry>/syncs/<sync_id>": reading(token(TokenScope.ADMIN, Right.SETTINGS)),
    "api/registries/<registry>/models": reading(token(TokenScope.ADMIN, Right.SETTINGS)),
    "api/registries/matches": {
        "GET": token(TokenScope.READ, Right.EDIT),
        "POST": token(TokenScope.WRITE, Right.EDIT),
    },
    "api/registries/matches/<match_id>/confirm": posting(token(TokenScope.WRITE, Right.EDIT)),
    "api/registries/matches/<match_id>/reject": posting(token(TokenScope.WRITE, Right.EDIT)),
    "api/plugins": reading(token(TokenScope.ADMIN, Right.SETTINGS)),
    "api/plugins/<plugin_key>": {'PUT {"enabled": true}': token(TokenScope.ADMIN, Right.SETTINGS)},
    "api/system/resources": reading(token(TokenScope.ADMIN, Right.SYSTEM)),
    "api/system/notices": reading(SUPERUSER_TOKEN),
    "api/system/notices/<notice_id>/confirm": posting(SUPERUSER_TOKEN),
    "v1/models": reading(EVERYBODY),
    "v1/models/<str:model_id>": reading(EVERYBODY),
    "healthz": reading(EVERYBODY),
    "readyz": reading(EVERYBODY),
    "metrics": reading(EVERYBODY),
}


def _of(
    app: str, model: str, *, also: tuple[str, ...] = (), read_only: bool = False, add: bool = True
) -> dict[str, Cells]:
    """The pages that Django's admin has for one kind of rows."""

    def right(action: str) -> str:
        return f"{app}.{action}_{model}"

    look = staff(*also, some=(right("view"), right("change")))
    at = f"admin/{app}/{model}/"
    return {
        at: form(look),
        f"{at}add/": form(NOBODY if read_only or not add else staff(right("add"))),
        f"{at}<path:object_id>/": reading(staff()),
        f"{at}<path:object_id>/history/": reading(look),
        f"{at}<path:object_id>/change/": {
            "GET": look,
            "POST": NOBODY if read_only else staff(right("change")),
        },
        f"{at}<path:object_id>/delete/": form(NOBODY if read_only else staff(right("delete"))),
    }


#: Rights that put something on the front page of the admin.
_LISTED = [
    *(
        f"discovery.{action}_{model}"
        for action in ("view", "change", "delete")
        for model in ("registeredmodel", "savedview", "webhook")
    ),
    *(
        f"discovery.{action}_{model}"
        for action in ("view", "add", "change", "delete")
        for model in ("root", "collection")
    ),
    *(
        f"discovery.{action}_{model}"
        for action in ("view", "change")
        for model in ("logentry", "finding", "metadatachange", "apitoken")
    ),
    "discovery.add_tag",
]

_OTHERS_TOKEN = staff(Right.TOKENS, some=("discovery.view_apitoken", "discovery.change_apitoken"))

ADMIN: dict[str, Cells] = {
    "admin/": reading(staff()),
    "admin/login/": form(EVERYBODY),
    "admin/logout/": posting(staff()),
    "admin/password_change/": form(SIGNED_IN),
    "admin/password_change/done/": form(SIGNED_IN),
    "admin/discovery/skipped/": form(SIGNED_IN),
    "admin/autocomplete/": reading(NOBODY),
    "admin/jsi18n/": reading(staff()),
    "admin/r/<path:content_type_id>/<path:object_id>/": reading(NOBODY),
    "admin/^(?P<app_label>auth|discovery)/$": reading(staff(some=_LISTED)),
    "admin/(?P<url>.*)$": reading(NOBODY),
    **_of("auth", "user"),
    "admin/auth/user/add/": form(staff("auth.add_user", "auth.change_user")),
    "admin/auth/user/<id>/password/": form(staff("auth.change_user")),
    **_of("auth", "group"),
    **_of("discovery", "registeredmodel", add=False),
    **_of("discovery", "root"),
    **_of("discovery", "collection"),
    **_of("discovery", "tag", also=(ALL,)),
    "admin/discovery/tag/<path:object_id>/change/": {
        "GET": staff(ALL, some=("discovery.view_tag", "discovery.change_tag")),
        "POST": staff("discovery.change_tag", ALL, Right.EDIT),
    },
    "admin/discovery/tag/<path:object_id>/delete/": form(
        staff("discovery.delete_tag", ALL, Right.EDIT)
    ),
    **_of("discovery", "savedview", add=False),
    **_of("discovery", "apitoken", read_only=True),
    # One's own can be seen without the right over those of others.
    "admin/discovery/apitoken/<path:object_id>/history/": reading(_OTHERS_TOKEN),
    "admin/discovery/apitoken/<path:object_id>/change/": {"GET": _OTHERS_TOKEN, "POST": NOBODY},
    **_of("discovery", "webhook", add=False),
    **_of("discovery", "logentry", read_only=True),
    **_of("discovery", "metadatachange", read_only=True),
    **_of("discovery", "finding", read_only=True),
    **_of("discovery", "scanrun", read_only=True, also=(ALL,)),
    **_of("discovery", "skippedpath", read_only=True, also=(ALL,)),
}

#: Addresses that were open once and lead nowhere now, for nobody.
HOLES: dict[str, Cells] = {
    f"admin/{model}/{page}": form(NOBODY)
    for model in (
        "django_q/schedule",
        "django_q/success",
        "django_q/failure",
        "django_q/ormq",
        "account/emailaddress",
        "socialaccount/socialaccount",
        "socialaccount/socialapp",
        "socialaccount/socialtoken",
    )
    for page in ("", "add/", "1/change/", "1/delete/")
}

TABLE: dict[str, Cells] = {**PAGES, **API, **ADMIN}

#: What the parts of routes stand for: beginning of a route → {part: what to look up in the registry
#: of the test}.
PARTS: dict[str, dict[str, Any]] = {
    "access/rules/": {"pk": "rule"},
    "bulk/": {"pk": "edit"},
    "collections/": {"pk": "collection"},
    "downloads/": {"pk": "download"},
    "import/": {"pk": "import"},
    "scans/": {"pk": "scan"},
    "registries/": {"registry": "registry"},
    "registries/matches/": {"pk": "match"},
    "scans/roots/": {"pk": "root"},
    "settings/roots/": {"pk": "root"},
    "settings/history/": {"pk": "setting"},
    "settings/plugins/": {"pk": "plugin"},
    "api/plugins/": {"plugin_key": "plugin_key"},
    "api/registries/": {"registry": "registry", "sync_id": "sync", "match_id": "match"},
    "system/notices/": {"pk": "notice"},
    "tags/taken-back/": {"pk": "edit"},
    "tags/": {"pk": "tag"},
    "webhooks/": {"pk": "webhook"},
    "tokens/": {"pk": "token"},
    "users/": {"pk": "person"},
    "users/groups/": {"pk": "group"},
    "set-password/": {"uidb64": "nobody", "token": "nothing"},
    "views/": {"pk": "view"},
    "api/changes/": {"change_id": "change", "batch": "batch"},
    "api/bulk-edits/": {"edit_id": "edit"},
    "api/access/": {"rule_id": "rule", "access_change_id": "access_change"},
    "api/tags/": {"tag_id": "tag"},
    "api/collections/": {"collection_id": "collection"},
    "api/views/": {"view_id": "view"},
    "api/imports/": {"import_id": "import"},
    "api/clean-up/items/": {"kind": "leftovers"},
    "api/tokens/": {"token_id": "token"},
    "api/webhooks/": {"webhook_id": "webhook"},
    "api/downloads/": {"download_id": "download"},
    "api/roots/": {"root_id": "root"},
    "api/schedules/": {"name": "schedule", "schedule_id": "stray"},
    "api/settings/": {"setting_change_id": "setting"},
    "api/system/notices/": {"notice_id": "notice"},
    "api/models/discovery/": {"scan_id": "scan"},
    "api/models/<model_id>/test-load/": {"test_id": "test"},
    "api/models/<model_id>/validations/": {"validation_id": "deep"},
    "admin/auth/user/": {"object_id": "person", "id": "person"},
    "admin/auth/group/": {"object_id": "group"},
    "admin/discovery/registeredmodel/": {"object_id": "model"},
    "admin/discovery/root/": {"object_id": "root"},
    "admin/discovery/collection/": {"object_id": "collection"},
    "admin/discovery/tag/": {"object_id": "tag"},
    "admin/discovery/savedview/": {"object_id": "view"},
    "admin/discovery/apitoken/": {"object_id": "token"},
    "admin/discovery/webhook/": {"object_id": "webhook"},
    "admin/discovery/logentry/": {"object_id": "entry"},
    "admin/discovery/metadatachange/": {"object_id": "change"},
    "admin/discovery/finding/": {"object_id": "finding"},
    "admin/discovery/scanrun/": {"object_id": "scan"},
    "admin/discovery/skippedpath/": {"object_id": "skipped"},
    "admin/r/": {"content_type_id": "kind", "object_id": "model"},
}
