"""The Webhooks page: made, tested, switched off and deleted by administrators, with what became of
each message.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from discovery.models import Webhook, WebhookDelivery
from discovery.services.integrations import webhooks
from tests.offline import Names

URL = "https://hooks.example.org/models"


@pytest.fixture
def hook(admin_user: User) -> Webhook:
    return webhooks.create(URL, ["scan.finished"], by=admin_user)


def test_a_webhook_is_made_and_its_secret_shown_once(admin_client: Client) -> None:
    sent = admin_client.post("/webhooks/", {"url": URL, "events": ["model.added", "scan.finished"]})
    assert (sent.status_code, sent["Location"]) == (302, "/webhooks/")
    made = admin_client.get("/webhooks/")
    hook = Webhook.objects.get()
    assert (hook.url, hook.events) == (URL, ["model.added", "scan.finished"])
    shown = re.search(r'id="secret">([^<]+)<', made.text)
    assert shown
    assert shown[1] == hook.secret
    assert shown[1].startswith("whsec_")
    assert hook.secret not in admin_client.get("/webhooks/").text
    assert Webhook.objects.count() == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://[::127.0.0.1]/",
        "http://2130706433/",
        "http://inside.example/",
        "http://169.254.169.254/latest",
    ],
)
def test_an_address_inside_the_network_is_refused_beside_the_form_with_the_variable_to_set(
    admin_client: Client, names: Names, url: str
) -> None:
    names["inside.example"] = ["10.0.0.1"]
    response = admin_client.post("/webhooks/", {"url": url, "events": ["scan.finished"]})
    assert response.status_code == 422
    assert "which is inside this network" in response.text
    assert "KAREN_WEBHOOK_PRIVATE" in response.text
    assert 'aria-describedby="webhook-error"' in response.text
    assert not Webhook.objects.exists()


def test_a_name_that_nobody_knows_yet_is_kept_and_judged_when_something_is_sent(
    admin_client: Client, names: Names
) -> None:
    names["later.example"] = []
    assert (
        admin_client.post(
            "/webhooks/", {"url": "https://later.example/", "events": ["scan.finished"]}
        ).status_code
        == 302
    )


@pytest.mark.parametrize(
    "given",
    [
        {"url": "ftp://x"},
        {"url": ""},
        {"events": []},
        {"events": ["smell"]},
        {"url": "http://x/\0"},
    ],
)
def test_what_cannot_be_is_said_beside_the_form(
    given: dict[str, Any], admin_client: Client
) -> None:
    response = admin_client.post("/webhooks/", {"url": URL, "events": ["scan.finished"], **given})
    assert response.status_code == 422
    assert 'role="alert"' in response.text
    assert not Webhook.objects.exists()


def test_only_administrators_see_and_change_webhooks(reader_client: Client, hook: Webhook) -> None:
    assert reader_client.get("/webhooks/").status_code == 403
    assert reader_client.post(f"/webhooks/{hook.pk}/act/", {"action": "delete"}).status_code == 403
    assert Webhook.objects.exists()


def test_buttons_test_switch_and_delete(
    admin_client: Client, hook: Webhook, task_queue: Any
) -> None:
    def press(action: str) -> str:
        return admin_client.post(f"/webhooks/{hook.pk}/act/", {"action": action}, follow=True).text

    assert "Test message sent" in press("test")
    assert task_queue.queue_size() == 1
    assert WebhookDelivery.objects.get().event == "ping"
    press("off")
    assert not Webhook.objects.get().enabled
    press("on")
    assert Webhook.objects.get().enabled
    assert "can be done here" in press("explode")
    press("delete")
    assert not WebhookDelivery.objects.exists()
    assert admin_client.post(f"/webhooks/{hook.pk}/act/", {"action": "test"}).status_code == 404


def test_messages_are_listed_with_what_became_of_them(
    admin_client: Client, hook: Webhook, django_assert_max_num_queries: Any
) -> None:
    now = timezone.now()
    for number in range(60):
        WebhookDelivery.objects.create(
            webhook=hook, uuid=f"{number:032x}", event="scan.finished", body={}, state="failed",
            attempts=6, status=500, created_at=now,
            message="It answered 500: <b>no</b>", seconds=0.25,
        )  # fmt: skip
    with django_assert_max_num_queries(20):
        page = admin_client.get("/webhooks/")
    assert "Given up" in page.text
    assert "&lt;b&gt;no&lt;/b&gt;" in page.text
    part = admin_client.get("/webhooks/?page=2", headers={"HX-Request": "true"})
    assert part.text.count("scan.finished") == 10
    assert "<html" not in part.text
