"""A reader's pages against an administrator's: ``python tests/benchmarks/access.py [COUNT]`` makes
up a registry of 100,000 models with 200 groups, 50 collections and 100 access rules.

Holds: the Models page, with all its facets, and the API's list, with its facets, take a reader at
most 1.3 times the CPU time that they take an administrator (medians). Exits 1 when one does not.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

BASE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(BASE))

from tests.benchmarks.pages import measure  # noqa: E402

MOST = 1.3
GROUPS, COLLECTIONS, RULES = 200, 50, 100
PAGES = {
    "Models": "/models/",
    "Models, filtered": "/models/?primary=LANGUAGE&status=READY",
    "Models, searched": "/models/?q=distilled+mistral",
    "facet of tags": "/facets/tag/",
    "facet of licenses": "/facets/license/",
    "API": "/api/models/discovered",
    "API, facets": "/api/models/discovered?facets=true",
}


def share(admin: Any) -> list[Any]:
    """Groups, collections and rules, each granted to some; the groups of a reader."""
    from django.contrib.auth.models import Group

    from discovery.models import Collection, RegisteredModel
    from discovery.services.access import access_rules, audiences, rule_terms
    from tests.benchmarks.registry import AUTHORS, KINDS, LICENSES, TAGS

    chance = Random(7)
    groups = [Group.objects.create(name=f"group {number}") for number in range(GROUPS)]
    keys = list(RegisteredModel.objects.values_list("pk", flat=True))
    link = RegisteredModel.collections.through
    for number in range(COLLECTIONS):
        collection = Collection.objects.create(name=f"collection {number}")
        collection.groups.set(chance.sample(groups, 5))
        link.objects.bulk_create(
            [
                link(registeredmodel_id=key, collection_id=collection.pk)
                for key in chance.sample(keys, len(keys) // 50)
            ],
            batch_size=5_000,
        )
    values = [
        *(("tag", tag) for tag in TAGS),
        *(("license", each) for each in LICENSES if each),
        *(("category", each) for each in ("CODE", "MEDICAL", "LEGAL", "AUDIO", "VISION")),
        *(("folder", f"{each.primary.lower()}/{author}") for each in KINDS for author in AUTHORS),
        *(("pattern", f"{each.family}-*-{number}*") for each in KINDS for number in range(10)),
    ]
    for kind, value in list(dict.fromkeys(values))[:RULES]:
        term = rule_terms.term(kind, value)
        access_rules.make(term, visibility="", groups=chance.sample(groups, 5), by=admin)
    started = time.perf_counter()
    audiences.refresh()
    print(f"all audiences anew: {time.perf_counter() - started:.1f} s")
    return groups[:5]


def _fetch(client: Any, address: str, headers: dict[str, str]) -> None:
    status = client.get(address, headers=headers).status_code
    assert status == 200, f"{address}: {status}"


def main(count: int) -> int:
    from django.contrib.auth.models import User
    from django.test import Client

    from discovery.models import Audience
    from tests.benchmarks.registry import fill

    fill(count)
    admin, reader = User.objects.create_superuser("admin"), User.objects.create_user("reader")
    reader.groups.set(share(admin))
    clients = []
    for who in (admin, reader):
        client = Client(headers={"host": "127.0.0.1"})
        client.force_login(who)
        clients.append(client)
    print(f"{count:,} models, {Audience.objects.count():,} audiences")
    slow = 0
    for name, address in PAGES.items():
        # Facets that wait until somebody opens them are parts of the page, which htmx asks for.
        part = {"HX-Request": "true"} if address.startswith("/facets/") else {}
        ours, theirs = (measure(partial(_fetch, client, address, part))[0] for client in clients)
        slow += theirs > ours * MOST
        print(
            f"{name:<20} administrator {ours:7.1f} ms, reader {theirs:7.1f} ms,"
            f" {theirs / ours:4.2f} times{'' if theirs <= ours * MOST else '  MISSED'}"
        )
    return 1 if slow else 0


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        os.environ.update(
            KAREN_DATA_DIR=f"{name}/var", KAREN_LOGS_DIR=f"{name}/logs",
            KAREN_CONFIG_DIR=f"{name}/config", DATABASE_URL=f"sqlite:///{name}/bench.sqlite3",
            KAREN_API_RATE_TOKEN="", DJANGO_SETTINGS_MODULE="karen_admin.settings",
        )  # fmt: skip
        import django

        django.setup()
        from django.core.management import call_command

        call_command("migrate", verbosity=0)
        sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000))
