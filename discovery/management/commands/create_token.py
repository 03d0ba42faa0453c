"""``create_token USER NAME``: a new token for the HTTP API, printed once."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand
from django.utils import timezone

from discovery.models import ApiToken
from discovery.services import tokens


class Command(BaseCommand):
    help = "Create a token for the HTTP API and print it, once. It acts for USER."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "user",
            metavar="USER",
            help="whose token it is: it sees and may do what they do, within its scope",
        )
        parser.add_argument("name", metavar="NAME", help="what it is for")
        parser.add_argument(
            "--scope",
            choices=ApiToken.Scope.values,
            default="read",
            help="read (default), write, or admin",
        )
        parser.add_argument(
            "--days",
            type=int,
            default=0,
            metavar="N",
            help="how long it is valid (default: until it is revoked)",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        user = User.objects.filter(username=options["user"]).first()
        if user is None:
            self.stderr.write(
                f"There is no user {options['user']}: make one in the admin, or name another."
            )
            sys.exit(2)
        days = options["days"]
        if not 0 <= days <= 36_500:
            self.stderr.write("--days must be between 1 and 36500.")
            sys.exit(2)
        try:
            _, token = tokens.create(
                user,
                options["name"],
                options["scope"],
                expires_at=timezone.now() + timedelta(days=days) if days else None,
            )
        except tokens.NotGiven as error:
            self.stderr.write(str(error))
            sys.exit(2)
        self.stdout.write(token)
