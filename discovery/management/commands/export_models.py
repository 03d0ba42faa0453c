"""``export_models``: every model as JSON documents, a table, or a file of another program."""

from __future__ import annotations

import os
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from discovery import startup
from discovery.management.database import DatabaseCommand
from discovery.models import RegisteredModel
from discovery.services.transfer.export_formats import FORMATS
from karen_admin import streams


class Command(DatabaseCommand):
    help = (
        "Write all models to standard output or a file: edit what people may set, and"
        " import_metadata reads it back."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--format",
            choices=list(FORMATS),
            default="json",
            help="; ".join(f"{name}: {each.help}" for name, each in FORMATS.items())
            + " (default: json)",
        )
        parser.add_argument(
            "--output",
            metavar="FILE",
            help=("write to FILE, replacing one that is there; - or nothing: to standard output"),
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        pieces = FORMATS[options["format"]].write(
            RegisteredModel.objects.order_by("name", "pk"), None
        )
        if options["output"] in (None, "", "-"):
            for piece in pieces:
                self.stdout.write(piece, ending="")
                if streams.reader_is_gone():
                    break
            return
        try:
            self._save(Path(options["output"]), pieces)
        except OSError as error:
            self.stderr.write(f"{options['output']} cannot be written: {error.strerror or error}.")
            sys.exit(2)

    def _save(self, path: Path, pieces: Iterator[str]) -> None:
        """Save the whole export or nothing.

        An existing file stays until the new one is complete.
        """
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with temporary.open("w", encoding="utf-8", newline="") as file:
                file.writelines(pieces)
            temporary.chmod(startup.public_mode(path))
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        self.stderr.write(f"Exported to {path}.")
