"""``reset_password USER``: a one-time link with which somebody chooses a new password."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import CommandError

from discovery.management.database import DatabaseCommand
from discovery.services.access import accounts

#: Where ``serve`` listens by default.
HERE = "http://127.0.0.1:8000"


class Command(DatabaseCommand):
    help = (
        "Print a one-time link with which USER chooses a new password. To set one here instead:"
        " manage.py changepassword USER."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", metavar="USER", help="the account")
        parser.add_argument(
            "--url",
            default=next(iter(settings.CSRF_TRUSTED_ORIGINS), HERE),
            metavar="ADDRESS",
            help="address of the dashboard (default: %(default)s)",
        )

    def handle(self, *_: Any, **options: Any) -> None:
        name, url = options["user"], options["url"].rstrip("/")
        if not url.startswith(("http://", "https://")):
            raise CommandError(
                f"{url or 'Nothing'} is not an address: write --url https://karen.example.org.",
                returncode=2,
            )
        person = User.objects.filter(username=name.replace("\0", "")).first()
        if person is None:
            raise CommandError(
                f"There is no account {name}. Names are told apart by upper and lower case.",
                returncode=2,
            )
        if not person.is_active:
            raise CommandError(
                f"The account {name} is deactivated: activate it on the Users page first.",
                returncode=2,
            )
        self.stdout.write(url + accounts.one_time_link(person))
