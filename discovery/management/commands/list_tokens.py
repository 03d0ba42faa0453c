"""``list_tokens``: the tokens of the HTTP API, without the tokens themselves."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import CommandError
from django.db.models import Q
from django.utils import timezone

from discovery.management.database import DatabaseCommand
from discovery.models import ApiToken


class Command(DatabaseCommand):
    help = "List the valid tokens of the HTTP API. None of them can be shown again in full."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "user", nargs="?", metavar="USER", help="whose tokens; default: everybody's"
        )
        parser.add_argument(
            "--all", action="store_true", help="also those that are revoked or have expired"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *_args: Any, **options: Any) -> None:
        rows = ApiToken.objects.select_related("user").order_by("user__username", "name", "pk")
        if options["user"] is not None:
            if not User.objects.filter(username=options["user"]).exists():
                raise CommandError(f"There is no user {options['user']}.", returncode=2)
            rows = rows.filter(user__username=options["user"])
        if not options["all"]:
            lasting = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
            rows = rows.filter(lasting, revoked_at=None)
        if options["json"]:
            self.stdout.write(json.dumps([_as_json(row) for row in rows]))
            return
        for row in rows:
            self.stdout.write(_as_line(row))
        if not rows:
            self.stdout.write("There are no valid tokens. Create one with create_token.")


def _as_json(row: ApiToken) -> dict[str, Any]:
    times = ("created_at", "expires_at", "last_used_at", "revoked_at")
    return {
        "user": row.user.get_username(),
        "name": row.name,
        "prefix": row.prefix,
        "scope": row.scope,
        "valid": row.is_valid and row.user.is_active,
        **{name: at.isoformat() if (at := getattr(row, name)) else None for name in times},
    }


def _as_line(row: ApiToken) -> str:
    if row.revoked_at:
        until = f"revoked on {row.revoked_at:%Y-%m-%d}"
    elif row.is_expired:
        until = f"expired on {row.expires_at:%Y-%m-%d}"
    else:
        until = (
            f"valid until {row.expires_at:%Y-%m-%d}" if row.expires_at else "valid until revoked"
        )
    used = f"last used on {row.last_used_at:%Y-%m-%d}" if row.last_used_at else "never used"
    return " · ".join(
        (row.user.get_username(), row.name, f"{row.prefix}…", str(row.scope), until, used)
    )
