"""``startplugin NAME``: write a discovery plugin, and a test of it that passes."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from discovery.management.own_command import OwnCommand
from discovery.services.plugins import starter


class Command(OwnCommand):
    help = "Write a discovery plugin into the plugins folder, and a test of it beside it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "name",
            metavar="NAME",
            help="of its module: lowercase letters, digits and underscores, like tensor_pack",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            plugin, test = starter.write(options["name"])
        except starter.StarterError as error:
            raise CommandError(str(error), returncode=2) from error
        self.stdout.write(f"Wrote {plugin} and {test}.")
        self.stdout.write(f"Try it: python {test}")
        self.stdout.write("Then edit both. The next scan loads the plugin.")
