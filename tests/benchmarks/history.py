"""The history at size: ``python tests/benchmarks/history.py`` makes 100,000 changes of 10,000
models and asks for its pages.

Holds: the median of the first page, of a filtered one and of a late one under 300 ms of CPU each,
of one model under 100 ms.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from statistics import median
from uuid import uuid4

from tests.support.page_text import page_text

BASE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(BASE))

MODELS, SINGLE, LARGE = 10_000, 60_000, 8
SECONDS = {
    "first page": 0.3,
    "by field": 0.3,
    "by person": 0.3,
    "by model": 0.3,
    "late page": 0.3,
    "one batch": 0.3,
    "one model": 0.1,
}
ROUNDS = 5


def make() -> str:
    """Single edits and, between them, eight batches of 5,000; returns the id of a model with some
    history.
    """
    from django.contrib.auth.models import User
    from django.utils import timezone

    from discovery.models import MetadataChange, RegisteredModel
    from tests.benchmarks import registry

    registry.fill(MODELS)
    people = [
        User.objects.create(username=f"person-{number}", is_staff=True, is_superuser=True)
        for number in range(5)
    ]
    keys = list(RegisteredModel.objects.order_by("pk").values_list("pk", flat=True))
    start, fields, rows = (
        timezone.now() - timedelta(days=300),
        ("license", "tags", "author", "description", "visibility"),
        [],
    )

    def change(number: int, key: int, batch: object) -> MetadataChange:
        field = fields[number % len(fields)]
        before, after = (
            (["a", "b"], ["b", "c"])
            if field == "tags"
            else (f"value {number}", f"value {number + 1}")
        )
        at = start + timedelta(minutes=number * 4)
        return MetadataChange(
            model_id=key,
            field=field,
            before=before,
            after=after,
            by=people[number % 5],
            at=at,
            channel="page",
            batch=batch,
        )

    for number in range(SINGLE):
        rows.append(change(number, keys[number * 7 % MODELS], uuid4()))
        if number % (SINGLE // LARGE) == 0:
            batch = uuid4()
            rows += [change(number, key, batch) for key in keys[:5_000]]
    MetadataChange.objects.bulk_create(rows, batch_size=500)
    return str(RegisteredModel.objects.get(pk=keys[0]).model_id)


def main() -> int:
    from django.contrib.auth.models import User
    from django.test import Client

    from discovery.models import MetadataChange

    model_id = make()
    batch = MetadataChange.objects.filter(model__model_id=model_id).order_by("pk")[1].batch
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.get(username="person-0"))
    pages = {
        "first page": "/history/",
        "by field": "/history/?field=license",
        "by person": "/history/?by=person-3",
        "by model": "/history/?model=llama+7",
        "late page": "/history/?page=2000",
        "one batch": f"/history/?batch={batch}",
        "one model": f"/models/{model_id}/history/",
    }
    print(f"{MetadataChange.objects.count():,} changes")
    slow = False
    for name, address in pages.items():
        taken = []
        for _ in range(ROUNDS):
            started = time.process_time()
            response = client.get(address)
            taken.append(time.process_time() - started)
            assert response.status_code == 200
            assert "panel batch" in page_text(response)
        slow = slow or median(taken) > SECONDS[name]
        print(
            f"{name:12} {median(taken) * 1000:6.0f} ms of CPU   (at most"
            f" {SECONDS[name] * 1000:.0f})"
        )
    return 1 if slow else 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="karen-history-") as folder:
        for name in ("DATA", "LOGS", "CONFIG", "MODELS"):
            os.environ[f"KAREN_{name}_DIR"] = f"{folder}/{name.lower()}"
        os.environ.pop("DATABASE_URL", None)
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "karen_admin.settings")
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        sys.exit(main())
