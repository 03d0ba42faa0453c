"""``unlock``: lets somebody in who is locked out after wrong passwords."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError

from discovery.management.database import DatabaseCommand
from discovery.services.access import signing_in


class Command(DatabaseCommand):
    help = (
        "Let an account, an address, or everybody sign in again at once after wrong passwords or"
        " tokens."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "username",
            metavar="USER",
            nargs="?",
            default="",
            help="the account that is locked out",
        )
        parser.add_argument(
            "--address",
            default="",
            metavar="IP",
            help="an address that is locked, for passwords and tokens",
        )
        parser.add_argument("--all", action="store_true", help="every account and address")

    def handle(self, *_: Any, **options: Any) -> None:
        name, origin, everybody = options["username"], options["address"], options["all"]
        if sum(map(bool, (name, origin, everybody))) != 1:
            raise CommandError("Name one account, or give --address IP, or --all.", returncode=2)
        if name and not get_user_model().objects.filter(username__iexact=name).exists():
            raise CommandError(f"There is no account {name}.", returncode=2)
        signing_in.unlock(name, origin=origin)
        who = f"{name} can" if name else f"People at {origin} can" if origin else "Everybody can"
        self.stdout.write(f"{who} sign in again now.")
