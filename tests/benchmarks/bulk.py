"""Changing many models: ``python tests/benchmarks/bulk.py`` tags 5,000 of 10,000 by a filter,
previews it, takes it back.

Holds: tagging, and taking it back, under 5 s of worker time (CPU) each; the preview under 4 s.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

BASE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(BASE))

WORK_SECONDS, PREVIEW_SECONDS = 5.0, 4.0
TAGGED = 5_000


def timed(what: Callable[[], Any]) -> tuple[Any, float, float]:
    """(what came of it, CPU seconds of this process, seconds on the clock)."""
    cpu, clock = time.process_time(), time.perf_counter()
    return what(), time.process_time() - cpu, time.perf_counter() - clock


def main(count: int) -> int:
    from django.contrib.auth.models import User

    from discovery.models import RegisteredModel, Tag
    from discovery.services.bulk import bulk_edits
    from discovery.services.bulk.operations import Operation
    from discovery.services.bulk.selections import Selection, preview
    from tests.benchmarks import registry

    registry.fill(count)
    by = User.objects.create_superuser("admin")
    chosen = RegisteredModel.objects.order_by("pk").values_list("pk", flat=True)[:TAGGED]
    RegisteredModel.objects.filter(pk__in=list(chosen)).update(license="chosen")
    selection, operation = (
        Selection(query="license=chosen"),
        Operation.read("tags", add={"tags": ["benchmark"]}),
    )
    before = dict(RegisteredModel.objects.values_list("pk", "curated"))

    foreseen, previewing, looked = timed(lambda: preview(operation, selection, by))
    edit = bulk_edits.request(operation, selection, by=by)
    edit, tagging, tagged = timed(lambda: bulk_edits.execute(edit))
    assert (edit.state, edit.changed, foreseen.changing) == ("done", TAGGED, TAGGED), edit.message
    assert Tag.objects.get(name="benchmark").models.count() == TAGGED
    back = bulk_edits.undo_batch(edit.batch, by=by)
    back, undoing, undone = timed(lambda: bulk_edits.execute(back))
    assert (back.state, back.changed) == ("done", TAGGED), back.message
    assert dict(RegisteredModel.objects.values_list("pk", "curated")) == before

    print(
        f"preview of {TAGGED:,} of {count:,} models   {previewing:6.2f} s of CPU, {looked:6.2f} s  "
        f" (at most {PREVIEW_SECONDS} of CPU)"
    )
    print(
        f"tagging them                       {tagging:6.2f} s of CPU, {tagged:6.2f} s   (at most"
        f" {WORK_SECONDS} of CPU)"
    )
    print(
        f"taking it back                     {undoing:6.2f} s of CPU, {undone:6.2f} s   (at most"
        f" {WORK_SECONDS} of CPU)"
    )
    return 0 if max(tagging, undoing) <= WORK_SECONDS and previewing <= PREVIEW_SECONDS else 1


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="karen-bulk-") as folder:
        for name in ("DATA", "LOGS", "CONFIG", "MODELS"):
            os.environ[f"KAREN_{name}_DIR"] = f"{folder}/{name.lower()}"
        os.environ.pop("DATABASE_URL", None)
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "karen_admin.settings")
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
