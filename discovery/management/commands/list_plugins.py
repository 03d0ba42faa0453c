"""``list_plugins``: the discovery plugins, where each comes from, and how it fails."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any

from django.core.serializers.json import DjangoJSONEncoder

from discovery.engine.core.text import plural
from discovery.management.database import DatabaseCommand
from discovery.services.plugins import catalogue
from discovery.services.plugins.overview import Overview, PluginRow, overview


class Command(DatabaseCommand):
    help = "Load the discovery plugins and list them in the order in which they are asked."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *_args: Any, **options: Any) -> None:
        catalogue.refresh()
        shown = overview(with_paths=True)
        if options["json"]:
            document = [row.as_json() for row in shown.rows]
            self.stdout.write(json.dumps(document, cls=DjangoJSONEncoder))
        else:
            self._print(shown)
        sys.exit(1 if any(row.tone in ("bad", "warn") for row in shown.rows) else 0)

    def _print(self, shown: Overview) -> None:
        for row in shown.rows:
            self.stdout.write(_line(row))
            if row.note:
                self.stdout.write(f"  {row.note}")
            for failure in row.failures[:3]:
                self.stdout.write(f"  {failure.path}: {failure.reason}")
        if not shown.rows:
            self.stdout.write("There are no plugins. Write one with startplugin NAME.")


def _line(row: PluginRow) -> str:
    plugin = row.plugin
    parts = [
        plugin.label,
        plugin.key,
        f"version {plugin.version}" if plugin.version else "",
        row.state.lower(),
        row.handles,
        plural(row.models, "model"),
        plugin.path,
    ]
    return " · ".join(part for part in parts if part)
