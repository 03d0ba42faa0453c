"""``import_metadata``: what was edited in an export, back into the registry."""

from __future__ import annotations

import json
import shutil
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from django.contrib.auth.models import User

from discovery.engine.core.text import plural
from discovery.management.database import DatabaseCommand
from discovery.services.transfer import importer
from discovery.services.transfer.import_parsing import UnreadableFile, shown
from discovery.services.transfer.importer import ImportReport

#: More than so many are not listed, however long the file.
LISTED = 10_000


class Command(DatabaseCommand):
    help = (
        "Import edited metadata from a CSV or JSON export. All rows or, if one is wrong, none,"
        " unless --skip-errors."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "file",
            metavar="FILE",
            help=(
                "CSV or JSON as export_models writes it, - for standard input; only model_id"
                " and what changes are needed"
            ),
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="say what each row would do and what is wrong; write nothing",
        )
        parser.add_argument(
            "--skip-errors",
            action="store_true",
            help="import the rows that are right, leave out those that are wrong",
        )
        parser.add_argument(
            "--by",
            metavar="USER",
            help="who stands in the history as the one who changed it (default: the import)",
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            report = self._import(options)
        except OSError as error:
            self._stop(f"{options['file']} cannot be read: {error.strerror or error}.")
        except UnreadableFile as error:
            self._stop(f"{error} Nothing was imported.")
        else:
            if options["json"]:
                self.stdout.write(json.dumps({"dry_run": options["dry_run"], **report.as_json()}))
            else:
                self._print(report, options)
            sys.exit(1 if report.wrong else 0)

    def _import(self, options: dict[str, Any]) -> ImportReport:
        by = self._person(options["by"])
        with _opened(options["file"]) as file:
            if options["dry_run"]:
                return importer.check(file, listed=LISTED)
            return importer.apply(file, by=by, skip_errors=options["skip_errors"], listed=LISTED)

    def _person(self, name: str | None) -> User | None:
        if name is None:
            return None
        person = User.objects.filter(username=name).first()
        if person is None:
            self._stop(f"There is no user {name}.")
        return person

    def _stop(self, reason: str) -> None:
        self.stderr.write(reason)
        sys.exit(2)

    def _print(self, report: ImportReport, options: dict[str, Any]) -> None:
        written = report.batch is not None
        for effect in report.effects if written or options["dry_run"] else ():
            for change in effect.changes:
                after = (
                    f"automatic: {shown(change.after)}" if change.automatic else shown(change.after)
                )
                self.stdout.write(
                    f"row {effect.number}, {effect.model_id}, {change.field}:"
                    f" {shown(change.before)} → {after}"
                )
        for effect in report.faults:
            for name, text in effect.errors:
                self.stdout.write(
                    f"row {effect.number},"
                    f" {effect.model_id or 'no model'}{f', {name}' if name else ''}: {text}"
                )
        self.stdout.write(self._summary(report, options, written))

    def _summary(self, report: ImportReport, options: dict[str, Any], written: bool) -> str:
        models = f"{plural(report.changed, 'model')} in {plural(report.fields, 'field')}"
        wrong = f" {plural(report.wrong, 'row is', 'rows are')} wrong."
        if options["dry_run"]:
            return (
                f"Dry run: {models} would change, {report.unchanged:,} would"
                f" not.{wrong if report.wrong else ''}"
            )
        if report.wrong and not written:
            return (
                f"Nothing was imported:{wrong} Correct them, or leave them out with --skip-errors."
            )
        told = (
            f"{models} changed, {report.unchanged:,} did"
            f" not.{wrong + ' They were left out.' if report.wrong else ''}"
        )
        return f"{told} Batch {report.batch}." if written else told


@contextmanager
def _opened(path: str) -> Iterator[IO[bytes]]:
    """Open the file, or what standard input holds: a file is read twice, and a pipe cannot be."""
    if path != "-":
        with Path(path).open("rb") as file:
            yield file
        return
    with TemporaryFile() as copy:
        if sys.stdin is not None:
            shutil.copyfileobj(sys.stdin.buffer, copy)
        copy.seek(0)
        yield copy
