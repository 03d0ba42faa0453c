"""Messages for other systems: signed, sent where they may go, tried again, and told of what really
happened.
"""

from __future__ import annotations

import hmac
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.utils import timezone
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError

from discovery import tasks
from discovery.models import RegisteredModel, Root, ScanRun, Webhook, WebhookDelivery
from discovery.services import jobs, scans
from discovery.services.integrations import http_client, webhook_signatures, webhooks
from discovery.services.metadata import metadata
from discovery.services.scans import registration
from tests.support import builders

Make = Callable[..., RegisteredModel]


@dataclass
class Receiver:
    """What arrived at a local server, and how it answers."""

    url: str = ""
    answer: int = 204
    heard: list[tuple[dict[str, str], bytes]] = field(default_factory=list)


@pytest.fixture
def receiver(settings: Any) -> Iterator[Receiver]:
    settings.WEBHOOK_PRIVATE = ["127.0.0.0/8"]
    told = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told.heard.append((dict(self.headers), body))
            self.send_response(told.answer)
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing on the terminal."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    told.url = f"http://127.0.0.1:{server.server_port}/hook?team=search"
    yield told
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def hook(receiver: Receiver, admin_user: User, task_queue: Any) -> Webhook:
    return webhooks.create(receiver.url, list(webhooks.EVENTS), by=admin_user)


def send_all() -> None:
    for delivery in WebhookDelivery.objects.filter(state="waiting").order_by("pk"):
        tasks.deliver_webhook(delivery.pk)


def events() -> list[str]:
    return list(WebhookDelivery.objects.order_by("pk").values_list("event", flat=True))


def test_a_message_arrives_signed_with_the_secret_that_both_ends_know(
    hook: Webhook, receiver: Receiver, task_queue: Any
) -> None:
    webhooks.ping(hook)
    assert task_queue.queue_size() == 1
    send_all()
    [(headers, body)] = receiver.heard
    expected = hmac.new(
        hook.secret.encode(), headers["X-Karen-Timestamp"].encode() + b"." + body, sha256
    ).hexdigest()
    assert headers["X-Karen-Signature"] == f"sha256={expected}"
    assert headers["X-Karen-Event"] == "ping"
    assert json.loads(body)["id"] == headers["X-Karen-Delivery"]
    delivery = WebhookDelivery.objects.get()
    assert (delivery.state, delivery.status, delivery.attempts) == ("delivered", 204, 1)
    assert webhook_signatures.sign(hook.secret, "1", body) != webhook_signatures.sign(
        hook.secret, "2", body
    )


def test_the_ready_made_verifiers_of_the_standard_accept_each_attempt(
    hook: Webhook, receiver: Receiver
) -> None:
    receiver.answer = 500
    metadata_event(hook)
    delivery = WebhookDelivery.objects.get()
    tasks.deliver_webhook(delivery.pk)
    tasks.deliver_webhook(delivery.pk)
    assert hook.secret.startswith("whsec_")
    for headers, body in receiver.heard:
        assert Verifier(hook.secret).verify(body, headers) == delivery.body
        assert headers["webhook-id"] == headers["X-Karen-Delivery"] == str(delivery.uuid)
        assert headers["webhook-timestamp"] == headers["X-Karen-Timestamp"]
    headers, body = receiver.heard[0]
    for wrong in (
        {"webhook-id": "other"},
        {"webhook-timestamp": "1"},
        {"webhook-signature": "v1,AAAA"},
    ):
        with pytest.raises(WebhookVerificationError):
            Verifier(hook.secret).verify(body, {**headers, **wrong})
    with pytest.raises(WebhookVerificationError):
        Verifier(hook.secret).verify(body + b" ", headers)


def test_signatures_are_those_of_the_specification() -> None:
    """The example of the specification: https://github.com/standard-webhooks/standard-webhooks"""
    at, body = datetime.fromtimestamp(1614265330, UTC), b'{"test": 2432232314}'
    assert webhook_signatures.standard_headers(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", at, body
    ) == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_webhook_made_before_keeps_its_secret_and_both_signatures(
    hook: Webhook, receiver: Receiver
) -> None:
    hook.secret = "an-older-secret_of-plain-text"
    hook.save()
    webhooks.ping(hook)
    send_all()
    [(headers, body)] = receiver.heard
    assert headers["X-Karen-Signature"] == webhook_signatures.sign(
        hook.secret, headers["X-Karen-Timestamp"], body
    )
    Verifier(hook.secret.encode()).verify(body, headers)


def test_what_fails_is_tried_again_with_growing_pauses_and_then_given_up(
    hook: Webhook, receiver: Receiver
) -> None:
    receiver.answer = 500
    metadata_event(hook)
    delivery = WebhookDelivery.objects.get()
    pauses = list(webhooks.PAUSES)
    assert pauses == sorted(pauses)
    for attempt, pause in enumerate([*pauses, None], 1):
        before = timezone.now()
        tasks.deliver_webhook(delivery.pk)
        delivery.refresh_from_db()
        assert delivery.attempts == attempt == len(receiver.heard)
        if pause is not None:
            assert delivery.next_at
            assert before <= delivery.next_at - timedelta(seconds=pause) <= timezone.now()
    assert (delivery.state, delivery.status, delivery.next_at) == ("failed", 500, None)
    assert len({headers["X-Karen-Delivery"] for headers, _ in receiver.heard}) == 1
    assert tasks.deliver_webhook(delivery.pk) == "over already"


def metadata_event(hook: Webhook) -> None:
    webhooks._tell([hook], "metadata.edited", {"models": []})


def test_an_attempt_that_arrives_late_ends_the_trying(hook: Webhook, receiver: Receiver) -> None:
    receiver.answer = 503
    metadata_event(hook)
    send_all()
    receiver.answer = 200
    send_all()
    assert WebhookDelivery.objects.get().state == "delivered"


def test_redirects_are_not_followed(hook: Webhook, receiver: Receiver) -> None:
    receiver.answer = 302
    webhooks.ping(hook)
    send_all()
    delivery = WebhookDelivery.objects.get()
    assert (delivery.state, delivery.status, len(receiver.heard)) == ("failed", 302, 1)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "[::1]",
        "10.0.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "0.0.0.0",
        "[::127.0.0.1]",
        "[64:ff9b:1::7f00:1]",
        "[::ffff:0:127.0.0.1]",
        "2130706433",
        "0x7f.1",
        "100.64.0.1",
        "224.0.0.1",
    ],
)
def test_nothing_is_sent_to_addresses_inside_the_network(host: str) -> None:
    with pytest.raises(http_client.AddressRefused, match="inside this network"):
        http_client.post(f"http://{host}:9/hook", b"{}", {})


def test_those_that_the_settings_name_may_be_reached(settings: Any) -> None:
    settings.WEBHOOK_PRIVATE = ["10.1.0.0/16", "hooks.local"]
    assert http_client.allowed("10.1.2.3", 80) == "10.1.2.3"
    with pytest.raises(http_client.AddressRefused):
        http_client.allowed("10.2.2.3", 80)


def test_a_name_that_changes_its_answer_is_looked_up_once_and_each_answer_judged(
    receiver: Receiver, settings: Any, monkeypatch: Any
) -> None:
    asked: list[str] = []
    answers = [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"]]

    def lookup(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        return [(2, 1, 6, "", (address, port)) for address in answers[len(asked) - 1]]

    monkeypatch.setattr(http_client, "getaddrinfo", lookup)
    port = receiver.url.split(":")[2].split("/")[0]
    assert http_client.post(f"http://rebind.example:{port}/", b"{}", {}).status == 204
    assert asked == ["rebind.example"]
    assert receiver.heard[0][0]["Host"] == f"rebind.example:{port}"
    settings.WEBHOOK_PRIVATE = []
    with pytest.raises(http_client.AddressRefused):
        http_client.post(f"http://rebind.example:{port}/", b"{}", {})
    assert len(receiver.heard) == 1


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://x/",
        "http://",
        "http://a:b@x/",
        "javascript:1",
        "http://x/ y",
        "http://x:99999/",
        "https://x/#a",
        "http://\0/",
    ],
)
def test_what_is_no_address_makes_no_webhook(url: str, admin_user: User) -> None:
    with pytest.raises(webhooks.WebhookError):
        webhooks.create(url, ["scan.finished"], by=admin_user)
    with pytest.raises(webhooks.WebhookError):
        webhooks.create("https://example.org/", ["smell"], by=admin_user)
    with pytest.raises(webhooks.WebhookError):
        webhooks.create("https://example.org/", [], by=admin_user)
    assert not Webhook.objects.exists()


def test_an_unreachable_address_says_so_and_is_tried_again(hook: Webhook) -> None:
    hook.url = "http://127.0.0.1:9/"
    hook.save()
    metadata_event(hook)
    send_all()
    delivery = WebhookDelivery.objects.get()
    assert (delivery.state, delivery.attempts) == ("waiting", 1)
    assert "cannot be reached" in delivery.message
    webhooks.switch(hook, on=False)
    send_all()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempts) == ("failed", 2)
    assert "switched off" in delivery.message


def test_a_scan_tells_what_is_added_changed_unsafe_and_missing(
    hook: Webhook, models_root: Path
) -> None:
    def scan() -> list[tuple[str, Any]]:
        WebhookDelivery.objects.all().delete()
        scans.execute(scans.start_now(ScanRun.Trigger.COMMAND)[0])
        return [
            (delivery.event, delivery.body["data"])
            for delivery in WebhookDelivery.objects.order_by("pk")
        ]

    Root.objects.create(path=str(models_root))
    for name, hidden in (("a", 64), ("b", 72), ("c", 80)):
        builders.transformers(models_root / name, hidden=hidden)
    first = scan()
    assert [event for event, _ in first] == ["model.added", "scan.finished"]
    assert [model["model_id"] for model in first[0][1]["models"]] == ["a", "b", "c"]
    assert set(first[0][1]["models"][0]) == {
        "model_id", "name", "root", "path", "type", "status", "aliases",
    }  # fmt: skip
    assert (first[1][1]["status"], first[1][1]["new"]) == ("done", 3)
    assert [event for event, _ in scan()] == ["scan.finished"]
    builders.transformers(models_root / "a", hidden=96)
    for file in (models_root / "c").iterdir():
        file.unlink()
    changed = dict(scan())
    assert [model["model_id"] for model in changed["model.changed"]["models"]] == ["a"]
    assert [
        (model["model_id"], model["status"]) for model in changed["model.missing"]["models"]
    ] == [("c", "MISSING")]
    RegisteredModel.objects.filter(model_id="a").update(status="UNSAFE")
    run = ScanRun.objects.filter(state="done").first()
    assert run
    WebhookDelivery.objects.all().delete()
    webhooks.after_scan(run)
    assert "model.unsafe" in events()


def test_edits_and_registrations_are_told_once_they_are_committed(
    hook: Webhook,
    make_model: Make,
    models_root: Path,
    admin_user: User,
    django_capture_on_commit_callbacks: Any,
) -> None:
    model = make_model("m")
    with django_capture_on_commit_callbacks(execute=True):
        metadata.edit(model, {"license": "mit", "tags": ["a"]}, by=admin_user, channel="api")
        assert events() == []
    [told] = [delivery.body["data"] for delivery in WebhookDelivery.objects.all()]
    assert told["models"] == [{"model_id": "m", "fields": ["license", "tags"], "aliases": []}]
    assert (told["by"], told["through"]) == ("admin", "api")
    Root.objects.create(path=str(models_root))
    builders.transformers(models_root / "custom")
    with django_capture_on_commit_callbacks(execute=True):
        registration.register({"name": "custom", "path": "custom"}, by=admin_user, channel="api")
    assert "model.added" in events()


def test_a_big_batch_is_told_a_hundred_models_at_a_time(
    hook: Webhook, make_model: Make, admin_user: User, django_capture_on_commit_callbacks: Any
) -> None:
    models = [make_model(f"m{number:03}") for number in range(120)]
    with django_capture_on_commit_callbacks(execute=True):
        metadata.edit_many(
            {model: {"license": "mit"} for model in models},
            by=admin_user,
            channel="page",
            batch=uuid4(),
        )
    assert [
        len(delivery.body["data"]["models"]) for delivery in WebhookDelivery.objects.order_by("pk")
    ] == [100, 20]


def test_nobody_is_told_who_does_not_want_to_be(
    receiver: Receiver, admin_user: User, make_model: Make, django_capture_on_commit_callbacks: Any
) -> None:
    quiet = webhooks.create(receiver.url, ["scan.finished"], by=admin_user)
    with django_capture_on_commit_callbacks(execute=True):
        metadata.edit(make_model("m"), {"license": "mit"}, by=admin_user, channel="api")
    webhooks.switch(quiet, on=False)
    run, _ = scans.start_now(ScanRun.Trigger.COMMAND)
    scans.execute(run)
    assert events() == []


def test_the_pause_over_the_housekeeper_sends_the_next_attempt(
    hook: Webhook, receiver: Receiver, task_queue: Any
) -> None:
    receiver.answer = 500
    metadata_event(hook)
    send_all()
    task_queue.purge_queue()
    assert jobs.dispatch_all() == 0, "it waits for its pause to be over"
    WebhookDelivery.objects.update(next_at=timezone.now())
    assert jobs.dispatch_all() == 1
    assert task_queue.queue_size() == 1


def test_a_delivery_whose_worker_is_killed_is_sent_again(
    hook: Webhook, receiver: Receiver, task_queue: Any, dead: dict[str, Any]
) -> None:
    metadata_event(hook)
    task_queue.purge_queue()
    WebhookDelivery.objects.update(state="sending", **dead)
    assert jobs.housekeep() == {"reaped": 1, "resumed": 1, "dispatched": 1}
    send_all()
    assert WebhookDelivery.objects.get().state == "delivered"


def test_a_queue_that_is_away_neither_makes_a_scan_look_failed_nor_loses_a_message(
    hook: Webhook, models_root: Path, monkeypatch: pytest.MonkeyPatch, task_queue: Any
) -> None:
    def away(*_: Any, **__: Any) -> None:
        raise ConnectionError("no broker")

    Root.objects.create(path=str(models_root))
    with monkeypatch.context() as patched:
        patched.setattr("discovery.services.jobs.kind.async_task", away)
        run = scans.execute(scans.start_now(ScanRun.Trigger.COMMAND)[0])
    assert run.state == "done"
    assert events() == ["scan.finished"]
    WebhookDelivery.objects.update(dispatched_at=None)
    assert jobs.dispatch_all() == 1


def test_a_message_that_cannot_be_made_does_not_make_a_scan_look_failed(
    hook: Webhook, models_root: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("no message")

    monkeypatch.setattr(webhooks, "_tell", broken)
    Root.objects.create(path=str(models_root))
    run = scans.execute(scans.start_now(ScanRun.Trigger.COMMAND)[0])
    assert run.state == "done"
    assert "webhooks could not be told" in caplog.text
