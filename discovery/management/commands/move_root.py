"""``move_root``: the folder of a root is elsewhere now.

Its models keep their ids, edits and everything else.
"""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser
from typing import Any

from django.db import DatabaseError
from django.db.models import Q

from discovery.engine.core.paths import to_text
from discovery.engine.core.text import plural
from discovery.management.database import DatabaseCommand
from discovery.models import Root
from discovery.services import scans


class Command(DatabaseCommand):
    help = (
        "Change the path of a root whose folder was moved. Nothing is read again; the next scan"
        " follows."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("old", metavar="OLD", help="the root's path until now, or its name")
        parser.add_argument("new", metavar="NEW", help="where the folder is now")
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            root = self._root(options["old"])
            was = root.path
            count = scans.move_root(
                root, os.path.abspath(os.path.expanduser(options["new"])), channel="command"
            )
        except scans.NotMoved as error:
            self.stderr.write(str(error))
            sys.exit(2)
        except DatabaseError as error:
            self.stderr.write(
                f"The database cannot be used: {error}. Has `manage.py migrate` been run?"
            )
            sys.exit(2)
        if options["json"]:
            self.stdout.write(json.dumps({"root": root.path, "was": was, "models": count}))
        else:
            self.stdout.write(
                f"The root {was} is {root.path} now, with {plural(count, 'model')}. Scan it to see"
                " what changed: manage.py scan_models"
            )

    def _root(self, given: str) -> Root:
        path = to_text(os.path.abspath(os.path.expanduser(given)))
        roots = Root.objects.exclude(path=Root.REMOTE)
        found = (
            roots.filter(Q(path=path) | Q(path=given)).first()
            or roots.filter(name=given).exclude(name="").first()
        )
        if found is None:
            known = (
                ", ".join(roots.order_by("path").values_list("path", flat=True)) or "there are none"
            )
            raise scans.NotMoved(f"{given[:500]} is not a root. Roots: {known}.")
        return found
