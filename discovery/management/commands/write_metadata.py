"""``write_metadata``: curated fields into the metadata.json of each model's folder."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterable
from typing import Any

from discovery.engine.core.text import plural
from discovery.management.database import DatabaseCommand
from discovery.models import RegisteredModel
from discovery.services.metadata import write_back
from discovery.services.metadata.write_back import Outcome, Result
from discovery.services.registry import aliases


class Command(DatabaseCommand):
    help = (
        "Write what people decided about models into the metadata.json of their folders. Without"
        " MODEL_ID: of all models that were edited."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "model_ids",
            nargs="*",
            metavar="MODEL_ID",
            help="as the model's page and address show it; default: every edited model",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="say what would be written; write nothing"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *_args: Any, **options: Any) -> None:
        results = list(
            write_back.write(self._records(options["model_ids"]), dry_run=options["dry_run"])
        )
        counts = Counter(result.outcome for result in results)
        if options["json"]:
            told = {outcome.value: counts[outcome] for outcome in Outcome}
            self.stdout.write(
                json.dumps(
                    {
                        "dry_run": options["dry_run"],
                        **told,
                        "results": [result.as_json() for result in results],
                    }
                )
            )
        else:
            self._print(results, counts, options["dry_run"])
        sys.exit(1 if counts[Outcome.REFUSED] else 0)

    def _records(self, model_ids: list[str]) -> Iterable[RegisteredModel]:
        if not model_ids:
            return write_back.curated_models()
        found = aliases.find_many(RegisteredModel.objects.select_related("root"), model_ids)
        unknown = [model_id for model_id in model_ids if model_id not in found]
        if unknown:
            self.stderr.write(
                f"There is no model {', '.join(unknown)}. The model ID stands on the model's page."
            )
            sys.exit(2)
        return list(dict.fromkeys(found[model_id] for model_id in model_ids))

    def _print(self, results: list[Result], counts: Counter[Outcome], dry_run: bool) -> None:
        if dry_run:
            self.stdout.write("Dry run: nothing was written.")
        for result in results:
            if result.outcome is Outcome.WRITTEN:
                self.stdout.write(f"{result.model_id}: {', '.join(result.fields)} → {result.path}")
            elif result.outcome is Outcome.REFUSED:
                self.stdout.write(f"{result.model_id}: refused. {result.reason}")
        written = (
            f"{plural(counts[Outcome.WRITTEN], 'file')} {'would be ' if dry_run else ''}written"
        )
        self.stdout.write(
            f"{written}, {counts[Outcome.UNCHANGED]:,} said it all already,"
            f" {counts[Outcome.REFUSED]:,} refused."
        )
