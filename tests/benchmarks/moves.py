"""Relinking a registry that moved as a whole: ``python tests/benchmarks/moves.py 20000 500
[--memory]`` in the database of ``KAREN_DATA_DIR``.

All models are gone from their roots and in another one, as many as are asked for with the weights
of one model and other names.
"""

from __future__ import annotations

import os
import sys
import time
import tracemalloc
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "karen_admin.settings")
    import django

    django.setup()

from django.core.management import call_command
from django.db import transaction
from django.utils import timezone

from discovery.models import RegisteredModel, Root, ScanRun
from discovery.services.core.event_log import Journal
from discovery.services.registry.records import save_many
from discovery.services.scans import reviewing
from discovery.services.scans.relinking import Departures, Joined, relink
from tests.benchmarks.registry import fill

TWINS = "f" * 32
CHUNK = 500


def move_everything(count: int, twins: int) -> tuple[ScanRun, Departures]:
    """``count`` models that are gone, and as many that arrived; nothing tells ``twins`` of them
    apart.
    """
    fill(count)
    gone = RegisteredModel.objects.order_by("pk")
    # Copies would be twins of another kind: here each model has weights of its own, but for those
    # that are asked for.
    records = list(gone.only("pk"))
    for record in records:
        own = TWINS if twins and record.pk % max(count // twins, 1) == 0 else f"{record.pk:032x}"
        record.fingerprint = record.content = own
        record.arrived_at, record.status, record.missing_since = None, "READY", None
    with transaction.atomic():
        save_many(records, ["fingerprint", "content", "arrived_at", "status", "missing_since"])
    now = timezone.now()
    run = ScanRun.objects.create(state="done", trigger="command", started_at=now)
    Root.objects.update(seen_at=now)
    new_root = Root.objects.create(path="/new/place")
    keys = list(gone.values_list("pk", flat=True))
    for start in range(0, len(keys), CHUNK):
        RegisteredModel.objects.bulk_create(
            _arrived(record, new_root, run)
            for record in gone.filter(pk__in=keys[start : start + CHUNK])
        )
    return run, Departures(gone=keys)


def _arrived(record: RegisteredModel, root: Root, run: ScanRun) -> RegisteredModel:
    name = f"renamed-{record.pk}" if record.fingerprint == TWINS else record.path
    record.pk, record.model_id, record.root, record.path, record.place = (
        None,
        f"new-{record.pk}",
        root,
        name,
        name,
    )
    record.curated, record.added_in = {}, run
    record.visibility, record.visibility_source = "RESTRICTED", "default"
    record.added_at = record.arrived_at = timezone.now()
    return record


def join(run: ScanRun, gone: Departures) -> Joined:
    return relink(run, gone, Journal(run), lambda: None)


if __name__ == "__main__":
    call_command("migrate", verbosity=0)
    count, twins = (int(text) for text in sys.argv[1:3])
    started = time.perf_counter()
    prepared = move_everything(count, twins)
    print(
        f"prepared {RegisteredModel.objects.count():,} records in"
        f" {time.perf_counter() - started:.1f} s"
    )
    if measured := "--memory" in sys.argv:  # takes several times as long
        tracemalloc.start()
    started, cpu = time.perf_counter(), time.process_time()
    joined = join(*prepared)
    taken = time.perf_counter() - started, time.process_time() - cpu
    peak = (
        f", peak {tracemalloc.get_traced_memory()[1] / 1e6:.0f} MB of Python objects"
        if measured
        else ""
    )
    print(f"{len(joined.keys):,} joined in {taken[0]:.1f} s ({taken[1]:.1f} s CPU){peak}")
    RegisteredModel.objects.filter(pk__in=set(prepared[1].gone) - joined.keys).update(
        status="MISSING", missing_since=timezone.now()
    )
    started = time.perf_counter()
    print(f"{reviewing.count_open():,} open moves counted in {time.perf_counter() - started:.2f} s")
    started = time.perf_counter()
    page = reviewing.offers(
        list(reviewing.open_moves().select_related("root").only(*reviewing.COLUMNS)[:20])
    )
    print(f"{len(page)} offers of the first page in {time.perf_counter() - started:.2f} s")
