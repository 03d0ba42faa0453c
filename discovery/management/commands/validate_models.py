"""``validate_models``: the checks of each model, now, in this process."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from tqdm import tqdm

from discovery.engine.core.text import plural
from discovery.management.database import DatabaseCommand
from discovery.models import RegisteredModel
from discovery.services.health import deep_validation, validation
from discovery.services.health.validation import ValidationReport
from discovery.services.machine.root_probes import RootSilent
from discovery.services.registry import aliases


class Command(DatabaseCommand):
    help = (
        "Check models: headers and names, with --deep also every byte. Without MODEL_ID all models."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "model_ids",
            nargs="*",
            metavar="MODEL_ID",
            help="as the model's page and address show it; default: every model",
        )
        parser.add_argument(
            "--deep", action="store_true", help="read all bytes and compare their checksums"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *_args: Any, **options: Any) -> None:
        records = self._records(options["model_ids"])
        self.run = validation.Validation()
        reports = [
            report
            for record in self._shown(records, options["json"])
            if (report := self._one(record, options["deep"]))
        ]
        if options["json"]:
            self.stdout.write(json.dumps([report.as_json() for report in reports]))
        else:
            self._print(reports)
        sys.exit(
            0 if all(report.valid for report in reports) and len(reports) == len(records) else 1
        )

    def _records(self, model_ids: list[str]) -> list[RegisteredModel]:
        rows = RegisteredModel.objects.select_related("root")
        if not model_ids:
            return list(rows.order_by(*validation.Validation.IN_ORDER))
        found = aliases.find_many(rows, model_ids)
        unknown = [model_id for model_id in model_ids if model_id not in found]
        if unknown:
            self.stderr.write(
                f"There is no model {', '.join(unknown)}. The model ID stands on the model's page."
            )
            sys.exit(2)
        return list(dict.fromkeys(found[model_id] for model_id in model_ids))

    def _shown(self, records: list[RegisteredModel], quiet: bool) -> Iterator[RegisteredModel]:
        bar = tqdm(
            records,
            unit=" models",
            desc="Validating",
            file=sys.stderr,
            disable=quiet or not sys.stderr.isatty(),
            leave=False,
        )
        yield from bar

    def _one(self, record: RegisteredModel, deep: bool) -> ValidationReport | None:
        """Validate one model.

        Returns ``None`` for one whose root does not answer, after reporting it.
        """
        try:
            report = self.run.validate(record)
        except RootSilent as error:
            self.stderr.write(f"{record.model_id} was not checked. {error}")
            return None
        if not deep:
            return report
        run, created = deep_validation.start_now(record)
        if created:
            deep_validation.execute(run)
        else:
            self.stderr.write(f"{record.model_id} is being read in full already.")
        record.refresh_from_db()
        return validation.report(record)

    def _print(self, reports: list[ValidationReport]) -> None:
        for report in reports:
            failed, warned = (
                [check for check in report.checks if check["status"] == status]
                for status in ("failed", "warning")
            )
            state = (
                "valid" if report.valid else plural(len(failed), "check failed", "checks failed")
            )
            remarks = f", {plural(len(warned), 'warning')}" if warned else ""
            self.stdout.write(f"{report.model_id}: {state}{remarks}")
            for check in (*failed, *warned):
                where = f" ({check['path']})" if check["path"] else ""
                self.stdout.write(
                    f"  {check['status']}: {check['name']}: {check['message']}{where}"
                )
        broken, doubtful = (
            sum(any(check["status"] == status for check in report.checks) for report in reports)
            for status in ("failed", "warning")
        )
        self.stdout.write(
            f"{plural(len(reports), 'model')} checked, {broken:,} with failed checks,"
            f" {doubtful:,} with warnings."
        )
