"""``scan_models``: scan now, in this process."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.db.models import Count, Sum
from tqdm import tqdm

from discovery.engine.core.text import human_bytes, plural
from discovery.management.database import DatabaseCommand
from discovery.models import Root, ScanRun, Unrecognized
from discovery.services import scans
from discovery.services.core import config_files
from discovery.services.jobs.progress import Progress
from discovery.services.machine.root_probes import RootSilent

REPORTED = ("found", "new", "changed", "unchanged", "moved", "missing", "errors")


class Command(DatabaseCommand):
    help = "Scan for models. Only new and changed ones are read, unless --full."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "paths",
            nargs="*",
            metavar="PATH",
            help="a root, a folder under one, or a new root; default: every root",
        )
        parser.add_argument(
            "--full", action="store_true", help="read every model again, changed or not"
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="say what would be found; write nothing"
        )
        parser.add_argument("--json", action="store_true", help="print one JSON document")

    def handle(self, *_args: Any, **options: Any) -> None:
        for fault in config_files.faults():
            self.stderr.write(f"{fault} — the last good version is in force.")
        try:
            report = self._preview(options) if options["dry_run"] else self._scan(options)
        except (scans.NoSuchFolder, RootSilent) as error:
            self.stderr.write(str(error))
            sys.exit(2)
        if options["json"]:
            self.stdout.write(json.dumps(report))
        else:
            self._print(report, options["dry_run"])
        if report["status"] in ("failed", "queued", "running"):
            sys.exit(2)
        sys.exit(1 if report["errors"] or report["status"] != "done" else 0)

    def _preview(self, options: dict[str, Any]) -> dict[str, Any]:
        targets = [scans.locate(path, add=False) for path in options["paths"]]
        added = list(dict.fromkeys(root.path for root, _ in targets if root.pk is None))
        with _Bar() as listener:
            progress = scans.preview(options["paths"], full=options["full"], listener=listener)
        return {
            "scan_id": None,
            "status": "done",
            **{name: progress.counts()[name] for name in REPORTED},
            "seconds": None,
            "added_roots": added,
        }

    def _scan(self, options: dict[str, Any]) -> dict[str, Any]:
        known = set(Root.objects.values_list("pk", flat=True))
        targets = [scans.locate(path, add=True) for path in options["paths"]]
        added = list(dict.fromkeys(root.path for root, _ in targets if root.pk not in known))
        if not targets:
            scans.sync_roots()
        paths = [
            f"{root.path}/{start}" if start != "." else root.path for root, start in targets
        ] or [""]
        if paths == [""] and not Root.objects.filter(enabled=True).exists():
            raise scans.NoSuchFolder(
                "There is no folder to scan: give one, or name it in config/model_discovery.json."
            )
        reports = [self._scan_one(path, options["full"]) for path in paths]
        merged = dict(reports[0])
        for other in reports[1:]:
            merged |= {name: merged[name] + other[name] for name in (*REPORTED, "seconds")}
            merged["status"] = other["status"] if merged["status"] == "done" else merged["status"]
            merged["message"] = " ".join(filter(None, (merged["message"], other["message"])))
        strays = Unrecognized.objects.aggregate(files=Count("pk"), bytes=Sum("size_bytes"))
        merged["added_roots"] = added
        merged["unrecognized"] = {"files": strays["files"], "bytes": strays["bytes"] or 0}
        return merged

    def _scan_one(self, path: str, full: bool) -> dict[str, Any]:
        run, created = scans.start_now(ScanRun.Trigger.COMMAND, path=path, full=full)
        if created:
            with _Bar() as listener:
                run = scans.execute(run, listener)
        else:
            self.stderr.write(
                f"Scan {run.pk} of the same folders is {run.get_state_display().lower()} already."
            )
        counts = {name: getattr(run, name) for name in REPORTED}
        return {
            "scan_id": run.pk,
            "status": run.state,
            **counts,
            "seconds": run.seconds or 0.0,
            "message": run.message,
        }

    def _print(self, report: dict[str, Any], dry_run: bool) -> None:
        if dry_run:
            self.stdout.write("Dry run: nothing was written.")
        for path in report["added_roots"]:
            does = "would add" if dry_run else "added"
            self.stdout.write(
                f"The scan {does} the root {path}: later scans without PATH include it."
            )
        counts = ", ".join(
            f"{report[name]:,} {name}"
            for name in ("new", "changed", "unchanged", "moved", "missing")
        )
        took = f" in {report['seconds']:.1f} s" if report["seconds"] else ""
        self.stdout.write(f"{plural(report['found'], 'model')} found{took}: {counts}.")
        if report["errors"]:
            where = plural(report["errors"], "model or place has", "models or places have")
            self.stdout.write(f"{where} errors: see the model's page, or logs/model_discovery.log.")
        if (strays := report.get("unrecognized")) and strays["files"]:
            self.stdout.write(
                f"{plural(strays['files'], 'large file is', 'large files are')} not recognized"
                f" ({human_bytes(strays['bytes'])}): see Unrecognized files on the Scans page."
            )
        if report.get("message"):
            self.stdout.write(report["message"])


class _Bar:
    """A progress bar on stderr, on a terminal only."""

    def __enter__(self) -> Callable[[Progress], None]:
        self.bar = tqdm(
            unit=" models",
            desc="Scanning",
            file=sys.stderr,
            disable=not sys.stderr.isatty(),
            leave=False,
        )
        return self.update

    def update(self, progress: Progress) -> None:
        self.bar.total = max(progress.expected, progress.found) or None
        self.bar.n = progress.found
        self.bar.set_postfix_str(progress.current_path[-40:])

    def __exit__(self, *_exc: object) -> None:
        self.bar.close()
