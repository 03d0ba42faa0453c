"""``revoke_token USER NAME``: a token of the HTTP API is refused from now on."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError
from django.db.models import Q

from discovery.management.database import DatabaseCommand
from discovery.models import ApiToken
from discovery.services.integrations import api_tokens


class Command(DatabaseCommand):
    help = "Revoke a token of the HTTP API: whoever uses it is refused from now on."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", metavar="USER", help="whose token it is")
        parser.add_argument(
            "name", metavar="NAME", help="its name, or how it begins, as list_tokens shows it"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        user, name = options["user"], options["name"].rstrip("…")
        rows = ApiToken.objects.filter(Q(name=name) | Q(prefix=name), user__username=user)
        row = rows.filter(revoked_at=None).first()
        if row is not None and api_tokens.revoke(row):
            self.stdout.write(f"The token {row.name} of {user} is revoked.")
        elif rows.exists():
            self.stdout.write(f"The token {name} of {user} was revoked before.")
        else:
            raise CommandError(
                f"{user} has no token {name}. See manage.py list_tokens {user}.", returncode=2
            )
