"""``create_token USER NAME``: a new token for the HTTP API, printed once."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User

from discovery.engine.core.service_words import TokenScope
from discovery.management.database import DatabaseCommand
from discovery.services.integrations import api_tokens


class Command(DatabaseCommand):
    help = "Create a token for the HTTP API and print it, once. It acts for USER."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "user",
            metavar="USER",
            help="whose token it is: it sees and may do what they do, within its scope",
        )
        parser.add_argument("name", metavar="NAME", help="what it is for")
        parser.add_argument(
            "--scope",
            choices=TokenScope.values,
            default="read",
            help=(
                "read (default): look; write: change models too; admin: scans, roots, rules,"
                " settings and workers too; never more than USER may"
            ),
        )
        parser.add_argument(
            "--days",
            default=None,
            metavar="N",
            help="valid for N days, 1 to 36500 (without it: until it is revoked)",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["user"]).first()
        if user is None:
            self.stderr.write(f"There is no user {options['user']}: create one on the Users page.")
            sys.exit(2)
        days = options["days"]
        try:
            expires = None if days is None else api_tokens.expiry(days)
            _, token = api_tokens.create(
                user, options["name"], options["scope"], expires_at=expires
            )
        except api_tokens.TokenError as error:
            self.stderr.write(str(error))
            sys.exit(2)
        self.stdout.write(token)
