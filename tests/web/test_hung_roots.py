"""A share that hangs never stops the site: every page, every call and what watches the server
answer in time, with one root hung and with ten.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse

from discovery.api.app import api
from discovery.models import RegisteredModel, Root, ScanRun
from discovery.services import scans
from discovery.services.cleanup import orphans
from discovery.services.machine import root_probes, root_states
from tests.hanging import Hanging, hanging
from tests.support import builders
from tests.support.page_text import page_text
from tests.support.pages import PARTS, every_address, furnish, shelve
from tests.support.waiting import DEADLINE, until

#: What may read a share before anybody knows that it hangs: readings at once, and the probes that
#: tell whether its root answers, of which a slow machine needs a second. How long they are waited
#: for, ``test_reach.py`` shows.
ONCE = root_probes.MOST_WAITING + root_probes.MOST_PROBES

ADMIN = (
    "root",
    "registeredmodel",
    "scanrun",
    "finding",
    "logentry",
    "skippedpath",
    "collection",
    "metadatachange",
)


@pytest.fixture
def furnished(db: None, models_root: Path, admin_user: User, config_dir: Path) -> Path:
    shelve(models_root)
    furnish(admin_user)
    orphans.forget()
    return models_root


def admin_addresses() -> list[str]:
    lists = [reverse(f"admin:discovery_{name}_changelist") for name in ADMIN]
    root, model = Root.objects.exclude(path=Root.REMOTE).first(), RegisteredModel.objects.first()
    changes = [
        reverse("admin:discovery_root_change", args=[root.pk]),
        reverse("admin:discovery_registeredmodel_change", args=[model.pk]),
    ]
    return [reverse("admin:index"), *lists, *changes] if root and model else []


def api_addresses() -> list[str]:
    found = []
    for path, operations in api.get_openapi_schema()["paths"].items():
        if "get" in operations:
            for part in operations["get"].get("parameters", ()):
                if part["in"] == "path":
                    path = path.replace(f"{{{part['name']}}}", str(PARTS.get(part["name"], 1)))
            found.append(path)
    return found


#: Views of pages that ask the disks for more than the bare address does.
QUERIES = {
    "duplicates": [
        "kind=copies",
        "kind=formats",
        "kind=revisions",
        "kind=blobs",
        "kind=shards",
        "kind=partial",
        "kind=empty",
    ],
    "compare": ["id=llama-chat&id=bert-base&tensors=1", "id=llama-chat&id=llama-chat&tensors=1"],
    "help-appear": ["path=bert-base", "path=/elsewhere/entirely"],
    "model-tensors": ["view=all", "q=embed", "part=1"],
}


def everything() -> Iterator[tuple[str, str]]:
    for name, address in every_address():
        yield name, address
        for query in QUERIES.get(name, ()):
            yield f"{name} {query}", f"{address}?{query}"
    for address in [
        *admin_addresses(),
        *api_addresses(),
        "/healthz",
        "/readyz",
        "/metrics",
        "/v1/models",
        "/api/docs",
    ]:
        yield address, address


def answered(client: Client, name: str, address: str) -> None:
    response = client.get(address)
    content = b"".join(response) if response.streaming else response.content
    assert response.status_code < 500 or response.status_code == 503, (
        f"{name}: {response.status_code}"
    )
    if response.status_code == 503 and address.startswith("/api"):
        assert "did not answer" in json.loads(content)["detail"]
        assert response.headers["Retry-After"]


@pytest.mark.slow
def test_every_address_answers_in_time_whatever_is_asked_first(
    furnished: Path, admin_client: Client
) -> None:
    """Each address is asked as the first one that meets the share, when nobody knows yet that it
    hangs.
    """
    for name, address in list(everything()):
        root_probes.forget()
        orphans.forget()
        Root.objects.update(silent_since=None)
        with hanging(furnished) as held:
            answered(admin_client, name, address)
            assert held.asked <= ONCE, name


@pytest.mark.slow
def test_once_a_root_is_known_to_hang_pages_cost_what_they_cost_otherwise(
    furnished: Path, admin_client: Client
) -> None:
    addresses = list(everything())
    for _, address in addresses:  # templates are compiled
        admin_client.get(address)
    orphans.forget()
    with hanging(furnished) as held:
        admin_client.get("/models/bert-base/")
        asked = held.asked
        for name, address in addresses:
            answered(admin_client, name, address)
        assert held.asked <= asked + 1


@pytest.mark.slow
def test_forms_that_read_files_answer_in_time_and_change_nothing(
    furnished: Path, admin_client: Client
) -> None:
    forms = {
        reverse("register"): {"path": "bert-base/model.safetensors", "action": "look"},
        reverse("model-health-act", args=["bert-base"]): {"action": "validate"},
        reverse("duplicates-plan"): {"kind": "copies", "remove": ["1"]},
        reverse("duplicates-look"): {"kind": "empty"},
        reverse("scan-start"): {},
        reverse("root-path", args=[Root.objects.get(path=str(furnished)).pk]): {
            "path": str(furnished / "bert-base")
        },
        reverse("admin:discovery_root_add"): {
            "path": str(furnished / "bert-base"),
            "enabled": "on",
            "deep_every_days": "30",
        },
        "/api/models/register": {"name": "x", "path": str(furnished / "bert-base")},
        "/api/models/discovery/refresh": {"path": str(furnished)},
        "/api/models/bert-base/validate": {},
    }
    before = list(RegisteredModel.objects.order_by("pk").values())
    for address, body in forms.items():
        root_probes.forget()
        orphans.forget()
        Root.objects.update(silent_since=None)
        with hanging(furnished) as held:
            kind = "application/json" if address.startswith("/api") else None
            response = (
                admin_client.post(address, json.dumps(body), content_type=kind)
                if kind
                else admin_client.post(address, body)
            )
            assert held.asked <= ONCE, address
            assert response.status_code in (
                200,
                202,
                302,
                422,
                503,
            ), f"{address}: {response.status_code}"
    assert list(RegisteredModel.objects.order_by("pk").values()) == before


def test_pages_say_what_does_not_answer_and_show_what_the_registry_knows(
    furnished: Path, admin_client: Client
) -> None:
    with hanging(furnished):
        page = page_text(admin_client.get("/models/bert-base/"))
        assert f"The folder {furnished} did not answer within 1 second." in page
        assert "README.md cannot be shown until its folder answers." in page
        assert "What is shown is what the last scan read." in page
        assert "Architecture" in page
        assert f"The folder {furnished} did not answer" in page_text(
            admin_client.get("/models/bert-base/tensors/")
        )
        for address in ("/", "/system/", "/scans/"):
            assert "it does not answer" in page_text(admin_client.get(address)), address
        listed = page_text(admin_client.get("/models/"))
        assert (
            f"<code>{furnished}</code> does not answer.</strong> Its models stay registered"
            in listed
        )
        status = admin_client.get("/api/models/discovery/status").json()
        assert [(root["reachable"], root["fault"]) for root in status["roots"]] == [
            (False, "it does not answer")
        ]
        assert admin_client.get("/api/system/resources").json()["disks"][0]["total_bytes"] is None


def test_people_who_are_not_told_the_folder_are_told_that_it_does_not_answer(
    furnished: Path, user: User
) -> None:
    RegisteredModel.objects.filter(model_id="bert-base").update(visibility="PUBLIC")
    reader = Client()
    reader.force_login(user)
    with hanging(furnished):
        page = page_text(reader.get("/models/bert-base/"))
        assert "The folder that holds this did not answer within 1 second." in page
        answer = reader.get("/api/models/bert-base/tensors")
        assert (answer.status_code, str(furnished) in page_text(answer)) == (503, False)


def test_everything_is_shown_again_once_the_share_answers(
    furnished: Path, admin_client: Client
) -> None:
    with hanging(furnished) as held:
        assert "did not answer" in page_text(admin_client.get("/models/bert-base/"))
        held.let_go()
        until(lambda: "did not answer" not in page_text(admin_client.get("/models/bert-base/")))
        assert "<h3" in page_text(admin_client.get("/models/bert-base/"))
        assert "it does not answer" not in page_text(admin_client.get("/scans/"))


@pytest.fixture
def ten_roots(db: None, tmp_path: Path, config_dir: Path, transactional_db: None) -> list[Path]:
    roots = []
    for number in range(10):
        root = tmp_path / f"nas{number}"
        builders.transformers(root / f"model{number}", hidden=64 + 8 * number)
        (root / f"model{number}/README.md").write_text("# Card")
        Root.objects.create(path=str(root))
        roots.append(root)
    run, _ = scans.start_now(ScanRun.Trigger.COMMAND)
    assert scans.execute(run).state == "done"
    return roots


@contextmanager
def flat() -> Iterator[None]:
    """Threads and memory after the block are as before it, but for what may hang."""
    process = psutil.Process()
    before = process.memory_info().rss
    yield
    assert process.memory_info().rss - before < 30 << 20


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_ten_roots_hung_at_once_and_many_readers(ten_roots: list[Path], admin_user: User) -> None:
    def read(number: int, *addresses: str) -> None:
        client = Client()
        client.force_login(admin_user)
        try:
            for address in addresses:
                assert client.get(address).status_code < 500
        finally:
            connection.close()

    with hanging(*ten_roots) as held:
        for _ in range(4):
            pages = [
                (f"/models/model{number}/", f"/models/model{number}/tensors/")
                for number in range(8)
            ]
            readers = [
                threading.Thread(target=read, args=(number, *page))
                for number, page in enumerate(pages)
            ]
            readers.append(threading.Thread(target=read, args=(9, "/system/", "/", "/scans/")))
            for reader in readers:
                reader.start()
            assert Client().get("/healthz").status_code == 200
            for reader in readers:
                reader.join(DEADLINE)
            assert not any(reader.is_alive() for reader in readers)
        first = _stuck(held)
        with flat():
            for _ in range(8):
                read(1, "/models/model1/", "/system/", "/duplicates/?kind=empty", "/scans/")
        assert _stuck(held) == first <= len(ten_roots) * (root_probes.MOST_STUCK + 1)
        assert all(state.fault == "it does not answer" for state in root_states.roots())


def _stuck(held: Hanging) -> int:
    return held.most
