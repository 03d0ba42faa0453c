"""``sync_registries``: read the external registries now, in this process."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from typing import Any

from discovery.engine.core.text import listed
from discovery.management.database import DatabaseCommand
from discovery.services.registries import overview, syncing
from discovery.services.registries.configured import configured


class Command(DatabaseCommand):
    help = (
        "Read external registries: link local models, bring what they say, find updates."
        " Without NAME all that are enabled."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "names", nargs="*", metavar="NAME", help="as external_registries.json has it"
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="ask and compare, and write nothing"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *_args: Any, **options: Any) -> None:
        results = [
            self._one(name, dry_run=options["dry_run"]) for name in self._names(options["names"])
        ]
        if options["json"]:
            self.stdout.write(json.dumps({"registries": results, "faults": overview.faults()}))
        else:
            self._print(results)
        sys.exit(_code(results))

    def _names(self, names: list[str]) -> list[str]:
        known = configured()
        unknown = [name for name in names if name not in known]
        off = [name for name in names if name in known and not known[name].settings.enabled]
        if unknown:
            self.stderr.write(
                f"There is no registry {listed(unknown)}: there are {listed([*known])}."
            )
            sys.exit(2)
        if off:
            self.stderr.write(
                f"{listed(off)} is off. Enable it in external_registries.json or on its page."
            )
            sys.exit(2)
        return names or [name for name, each in known.items() if each.settings.enabled]

    def _one(self, name: str, *, dry_run: bool) -> dict[str, Any]:
        report: list[dict[str, Any]] = []
        if note := configured()[name].key().note:
            self.stderr.write(f"{name}: {note}")
        job, created = syncing.run_now(name, dry_run=dry_run, report=report)
        if not created:
            self.stderr.write(f"{name} is being synced already.")
        return {
            "name": name,
            "state": job.state if created else "busy",
            "message": job.message,
            "fault": job.fault or None,
            "dry_run": dry_run,
            **{each: getattr(job, each) for each in _COUNTS},
            "seconds": job.seconds,
            "results": report,
        }

    def _print(self, results: list[dict[str, Any]]) -> None:
        for each in results:
            self.stdout.write(f"{each['name']}: {each['state']}. {each['message']}")
            for row in each["results"]:
                self.stdout.write(
                    f"  {row['what']}: {row['model_id']} · {row['remote_id']}"
                    f" · {row['confidence']} %"
                )
        if not results:
            self.stdout.write("No registry is enabled: see docs/registries.md.")
        for fault in overview.faults():
            self.stderr.write(fault)


def _code(results: list[dict[str, Any]]) -> int:
    """0 when all went well, 2 when no registry could be read, else 1."""
    if results and all(each["state"] != "done" for each in results):
        return 2
    good = all(each["state"] == "done" and not each["errors"] for each in results)
    return 0 if good and not overview.faults() else 1


_COUNTS = ("total", "done", "linked", "proposed", "updates", "changed", "errors", "requests")
