"""Keys of hosted models go to the hosts that they are bound to, hosted models to the addresses that
they may reach, and nothing else to either.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client

from discovery.engine.core.addresses import read
from discovery.loading import supervise
from discovery.loading.job import Job, Outcome, Result
from discovery.models import LoadTest, RegisteredModel
from discovery.services.bulk import bulk_edits
from discovery.services.bulk.operations import Operation
from discovery.services.bulk.selections import Selection
from discovery.services.health import test_loads
from discovery.services.integrations import endpoint_keys, http_client
from discovery.services.metadata import metadata
from discovery.services.metadata.metadata import InvalidMetadata
from discovery.services.scans import registration
from tests.offline import ELSEWHERE, Names

Make = Callable[..., RegisteredModel]

KEY, HOSTS = "KAREN_ENDPOINT_KEY_LAB", "KAREN_ENDPOINT_HOSTS_LAB"


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY, "sk-lab")
    monkeypatch.setenv(HOSTS, "api.lab.example, 127.0.0.1:8080")


def sent(url: str, variable: object = KEY) -> str:
    return endpoint_keys.key_for(variable, read(url))[0]


@pytest.mark.parametrize(
    "url",
    [
        "https://api.lab.example/v1",
        "https://API.Lab.Example.",
        "https://api.lab.example:8443",
        "http://127.0.0.1:8080",
        "http://127.1:8080",
    ],
)
def test_a_key_goes_to_the_hosts_that_it_is_bound_to(key: None, url: str) -> None:
    assert sent(url) == "sk-lab"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/api.lab.example", "https://api.lab.example.evil.example",
        "https://xapi.lab.example", "https://lab.example",
        "https://api.lab.example@evil.example", "http://127.0.0.1", "http://127.0.0.1:8081",
        "https://evil.example?api.lab.example",
        "https://evil.example#api.lab.example",
    ],
)  # fmt: skip
def test_a_key_goes_nowhere_else_and_the_sentence_names_the_variable(key: None, url: str) -> None:
    value, note = endpoint_keys.key_for(KEY, read(url))
    assert value == ""
    assert HOSTS in note
    assert "sk-lab" not in note


@pytest.mark.parametrize(
    "variable",
    ["KAREN_SECRET_KEY", "PATH", "", None, 7, "KAREN_ENDPOINT_HOSTS_LAB", "KAREN_ENDPOINT_KEY\n"],
)
def test_no_other_variable_is_ever_read(key: None, variable: object) -> None:
    assert endpoint_keys.key_for(variable, read("https://api.lab.example")) == ("", "")


def test_the_key_without_a_name_pairs_with_the_hosts_without_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KAREN_ENDPOINT_KEY", "sk-one")
    monkeypatch.setenv("KAREN_ENDPOINT_HOSTS", "one.example")
    assert (
        sent("https://one.example", "KAREN_ENDPOINT_KEY"),
        sent("https://two.example", "KAREN_ENDPOINT_KEY"),
    ) == ("sk-one", "")


@pytest.mark.parametrize("hosts", ["", "*", "*.lab.example", "*, *.example"])
def test_a_key_without_exact_hosts_is_not_sent_and_every_place_names_the_variable_to_set(
    hosts: str,
    monkeypatch: pytest.MonkeyPatch,
    admin_client: Client,
    capsys: pytest.CaptureFixture[str],
    make_model: Make,
    jobs: list[Job],
) -> None:
    monkeypatch.setenv(KEY, "sk-lab")
    monkeypatch.setenv(HOSTS, hosts)
    assert sent("https://api.lab.example") == ""
    call_command("check")
    told = capsys.readouterr().err
    page = admin_client.get("/system/").text
    test = load(hosted(make_model, "https://api.lab.example/v1"))
    for text in (told, page, test.message):
        assert HOSTS in text
        assert "sk-lab" not in text
    if hosts:
        assert "wildcard" in told
        assert "wildcard" in page
    assert [job.api_key for job in jobs] == [""]


def test_check_says_nothing_of_keys_that_are_bound(
    key: None, capsys: pytest.CaptureFixture[str], admin_client: Client
) -> None:
    call_command("check")
    assert "KAREN_ENDPOINT" not in capsys.readouterr().err
    page = admin_client.get("/system/").text
    assert "api.lab.example, 127.0.0.1:8080" in page
    assert "sk-lab" not in page


def test_check_names_an_entry_of_a_list_of_permissions_that_permits_nothing(settings: Any) -> None:
    settings.ENDPOINT_PRIVATE = ["*", "10.1.0.0/16", "models.local"]
    assert [
        fault
        for fault in endpoint_keys.faults()
        if "KAREN_ENDPOINT_PRIVATE" in fault and "“*”" in fault
    ]
    assert len(http_client.permission_faults()) == 1


# -- test loads


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    asked: list[Job] = []

    def run(job: Job, *, wall_seconds: float, tick: Callable[[], None]) -> Outcome:
        asked.append(job)
        return Outcome(result=Result.PASSED, loader="endpoint", message="It answers.")

    monkeypatch.setattr(supervise, "run", run)
    return asked


def hosted(
    make_model: Make, endpoint: str, variable: str | None = KEY, name: str = "hosted"
) -> RegisteredModel:
    return make_model(
        name,
        status="REMOTE",
        extracted={"type": "OPENAI", "endpoint": endpoint, "api_key_variable": variable},
    )


def load(model: RegisteredModel) -> LoadTest:
    return test_loads.execute(test_loads.request(model)[0])


def test_a_test_load_connects_to_the_address_that_was_judged(
    key: None, make_model: Make, jobs: list[Job], task_queue: Any
) -> None:
    assert load(hosted(make_model, "https://api.lab.example/v1")).result == "passed"
    assert [(job.endpoint, job.place, job.api_key) for job in jobs] == [
        ("https://api.lab.example/v1", ELSEWHERE, "sk-lab")
    ]


@pytest.mark.parametrize(
    "answers",
    [["10.0.0.1"], [ELSEWHERE, "127.0.0.1"], ["64:ff9b:1::10.0.0.1"], ["::ffff:0:10.0.0.1"]],
)
def test_a_name_that_leads_inside_by_now_is_refused_when_it_is_tried(
    key: None, make_model: Make, jobs: list[Job], names: Names, task_queue: Any, answers: list[str]
) -> None:
    model = hosted(make_model, "https://api.lab.example/v1")
    names["api.lab.example"] = answers
    test = load(model)
    assert (test.result, jobs) == ("refused", [])
    assert "KAREN_ENDPOINT_PRIVATE" in test.message


def test_a_name_that_nobody_knows_fails_with_a_sentence(
    make_model: Make, jobs: list[Job], names: Names, task_queue: Any
) -> None:
    names["gone.example"] = []
    test = load(hosted(make_model, "https://gone.example"))
    assert (test.result, test.message, jobs) == (
        "failed",
        "There is no address for gone.example.",
        [],
    )


class _Server(ThreadingHTTPServer):
    asked: list[tuple[str, str | None]]


@pytest.fixture
def server() -> Iterator[_Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.server.asked  # type: ignore[attr-defined]
            asked.append((self.headers["Host"], self.headers["Authorization"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"data": [{"id": "hosted"}]}).encode())

        def log_message(self, *_: Any) -> None:
            """Nothing on the terminal."""

    with _Server(("127.0.0.1", 0), Handler) as made:
        made.asked = []
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def test_a_server_inside_the_network_that_is_permitted_gets_its_key_by_name(
    make_model: Make,
    server: _Server,
    names: Names,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
    task_queue: Any,
    config_dir: Path,
) -> None:
    settings.ENDPOINT_PRIVATE = ["127.0.0.0/8"]
    settings.DATA_DIR.mkdir()
    names["models.local"] = ["127.0.0.1"]
    place = f"models.local:{server.server_port}"
    monkeypatch.setenv(KEY, "sk-lab")
    monkeypatch.setenv(HOSTS, place)
    test = load(hosted(make_model, f"http://{place}/v1"))
    assert (test.result, test.message) == (
        "passed",
        f"http://{place}/v1/models answers: 1 model: hosted.",
    )
    assert server.asked == [(place, "Bearer sk-lab")]
    monkeypatch.setenv(HOSTS, "other.local")
    test = load(hosted(make_model, f"http://{place}/v1", name="another"))
    assert f"Add {place} to {HOSTS}" in test.message
    assert server.asked[-1] == (place, None)


# -- refused when it is saved


INSIDE = (
    "http://127.0.0.1:8080/v1", "http://[::127.0.0.1]/", "http://[64:ff9b:1::7f00:1]/",
    "http://[::ffff:0:127.0.0.1]/", "http://2130706433/",
    "http://169.254.169.254/latest", "http://inside.example/v1",
)  # fmt: skip


@pytest.fixture
def inside(names: Names) -> None:
    names["inside.example"] = [ELSEWHERE, "10.0.0.1"]


@pytest.mark.parametrize("endpoint", INSIDE)
def test_an_endpoint_inside_the_network_is_refused_on_every_road_in(
    endpoint: str, inside: None, admin_user: User, admin_client: Client, make_model: Make
) -> None:
    with pytest.raises(InvalidMetadata) as refused:
        registration.register(
            {"name": "gpt", "type": "OPENAI", "endpoint": endpoint}, by=admin_user, channel="page"
        )
    assert "KAREN_ENDPOINT_PRIVATE" in refused.value.errors["endpoint"]
    body = {"name": "gpt", "type": "OPENAI", "endpoint": endpoint}
    answer = admin_client.post("/api/models/register", body, content_type="application/json")
    assert (answer.status_code, answer.json()["errors"][0]["loc"]) == (422, ["body", "endpoint"])
    page = admin_client.post("/register/", {"kind": "hosted", "name": "gpt", "endpoint": endpoint})
    assert page.status_code == 422
    assert "which is inside this network" in page.text
    model = hosted(make_model, "https://api.lab.example/v1")
    changed = admin_client.put(
        "/api/models/hosted/metadata", {"endpoint": endpoint}, content_type="application/json"
    )
    assert (changed.status_code, changed.json()["errors"][0]["loc"]) == (422, ["body", "endpoint"])
    field = admin_client.post(
        "/models/hosted/metadata/endpoint/", {"endpoint": endpoint}, headers={"HX-Request": "true"}
    )
    assert field.status_code == 422
    assert "which is inside this network" in field.text
    with pytest.raises(InvalidMetadata):
        bulk_edits.request(
            Operation.read("metadata", values={"endpoint": endpoint}),
            Selection(ids=(model.model_id,)),
            by=admin_user,
        )
    assert not RegisteredModel.objects.filter(name="gpt").exists()


def test_the_webhooks_list_permits_endpoints_until_they_have_one_of_their_own(
    settings: Any, admin_user: User
) -> None:
    settings.WEBHOOK_PRIVATE = ["127.0.0.1"]
    assert http_client.endpoint_fault("http://127.0.0.1:8080/v1") is None
    settings.ENDPOINT_PRIVATE = []
    assert http_client.endpoint_fault("http://127.0.0.1:8080/v1")
    settings.ENDPOINT_PRIVATE = ["Models.Local."]
    assert http_client.endpoint_fault("http://127.0.0.1:8080/v1")


def test_an_endpoint_that_stands_already_hinders_no_other_edit(
    make_model: Make, admin_user: User
) -> None:
    model = hosted(make_model, "http://127.0.0.1:8080/v1")
    metadata.edit(model, {"license": "mit"}, by=admin_user, channel="page")
    assert model.license == "mit"
