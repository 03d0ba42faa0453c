"""Server time of pages over N models: ``python tests/benchmarks/pages.py 100000 [FOLDER]``.

Fills a fresh SQLite database with a made-up registry (FOLDER keeps it for the next time), asks one
process for each page as a browser would, and prints median and 95th percentile of its CPU time,
beside a bare Django view that renders as many rows. Holds, on the machine that
``tests/support/timing.py`` describes:

* Models page, first visit, filtered, searched, sorted and deep, for administrators and for readers:
  median under 150 ms and 95th percentile under 300 ms at 100,000 models; median under 50 ms at
  10,000;
* overview: median under 200 ms; under 50 ms.

Reading a database is mostly CPU time when it is cached; time spent waiting for other programs is
not the server's. Exits 1 when a limit is missed.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

BASE = Path(__file__).resolve().parents[2]
TURNS = 15
MANY = 100_000

#: Name → (address, most milliseconds of the median with many models, of the 95th percentile).
PAGES = {
    "Models, first visit": ("/models/", 150, 300),
    "Models, filtered": ("/models/?primary=LANGUAGE&status=READY&status=CORRUPT", 150, 300),
    "Models, filtered, few": ("/models/?type=LLAMA_CPP&fits=memory&visibility=PUBLIC", 150, 300),
    "Models, searched": ("/models/?q=distilled+mistral", 150, 300),
    "Models, searched, few": ("/models/?q=009999", 150, 300),
    "Models, by language": ("/models/?q=params:%3E7b+license:mit+-tag:old", 150, 300),
    "Models, sorted": ("/models/?sort=-size", 150, 300),
    "Models, page 1,000": ("/models/?page=1000", 150, 300),
    "Models, all columns": (
        ("/models/?columns=category,type,params,context,size,memory,license,author,tags,"
        "visibility,added,status"), 150, 300,
    ),
    "Overview": ("/", 200, 300),
}  # fmt: skip
FEW_MS = 50


def measure(ask: Callable[[], Any], turns: int = TURNS) -> tuple[float, float]:
    """(median, 95th percentile) of CPU milliseconds, after one turn to warm up."""
    ask()
    taken = []
    for _ in range(turns):
        started = time.process_time()
        ask()
        taken.append((time.process_time() - started) * 1000)
    taken.sort()
    return statistics.median(taken), taken[min(int(len(taken) * 0.95), len(taken) - 1)]


def bare(count: int) -> Callable[[], Any]:
    """A plain view of as many rows: the database read by its order, a table of the same columns, no
    frame.
    """
    from django.contrib.auth.models import User
    from django.template import Context, engines
    from django.test import RequestFactory

    from discovery.models import RegisteredModel

    columns = (
        "name",
        "path",
        "primary",
        "secondary",
        "type",
        "parameter_count",
        "context_length",
        "size_bytes",
        "status",
    )
    cells = "".join(f"<td>{{{{ row.{name} }}}}</td>" for name in columns)
    template = (
        engines["django"]
        .from_string(f"<table>{{% for row in rows %}}<tr>{cells}</tr>{{% endfor %}}</table>")
        .template
    )
    request = RequestFactory().get("/")
    request.user = User(is_superuser=True)

    def view() -> str:
        return str(
            template.render(
                Context(
                    {
                        "rows": list(
                            RegisteredModel.objects.order_by("sort_name", "pk").only(*columns)[
                                :count
                            ]
                        )
                    }
                )
            )
        )

    return view


def main(count: int, folder: Path) -> int:
    from django.contrib.auth.models import Group, User
    from django.core.management import call_command
    from django.test import Client

    from discovery.models import RegisteredModel
    from tests.benchmarks.registry import fill
    from tests.support.timing import slowness

    call_command("migrate", verbosity=0)
    if (missing := count - RegisteredModel.objects.count()) > 0:
        print(f"making up {missing:,} models in {folder}")
        fill(missing)
    admin, _ = User.objects.get_or_create(
        username="benchmark-admin", defaults={"is_staff": True, "is_superuser": True}
    )
    reader, _ = User.objects.get_or_create(username="benchmark-reader")
    reader.groups.add(Group.objects.get(name="researchers"))
    plain, _ = measure(bare(50))
    print(
        f"{RegisteredModel.objects.count():,} models; a bare view of 50 rows takes {plain:.1f} ms"
    )
    print(f"{'':28} {'median':>8} {'95 %':>8}  {'bare':>6}   at most, on the reference machine")
    held = True
    for who in (admin, reader):
        client = Client(headers={"host": "127.0.0.1"})
        client.force_login(who)
        for name, (address, median_limit, tail_limit) in PAGES.items():
            if count < MANY:
                median_limit, tail_limit = FEW_MS, 2 * FEW_MS
            before = slowness()
            median, tail = measure(partial(_ok, client, address))
            slow = (before + slowness()) / 2
            good = median / slow <= median_limit and tail / slow <= tail_limit
            held &= good
            label = f"{name}{'' if who is admin else ', reader'}"
            print(
                f"{label:28} {median:8.1f} {tail:8.1f}  {median / plain:5.1f}×   {median_limit}"
                f" {tail_limit} × {slow:.2f}{'' if good else '  MISSED'}"
            )
    return 0 if held else 1


def _ok(client: Any, address: str) -> None:
    status = client.get(address).status_code
    assert status == 200, f"{address}: {status}"


if __name__ == "__main__":
    place = Path(sys.argv[2] if len(sys.argv) > 2 else tempfile.mkdtemp(prefix="karen-pages-"))
    os.environ.update(
        {
            "KAREN_DATA_DIR": str(place / "data"),
            "KAREN_LOGS_DIR": str(place / "logs"),
            "KAREN_CONFIG_DIR": str(place / "config"),
        }
    )
    os.environ.pop("DATABASE_URL", None)
    os.environ["DJANGO_SETTINGS_MODULE"] = "karen_admin.settings"
    sys.path.insert(0, str(BASE))
    import django

    django.setup()
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000, place))
