"""Tokens and webhooks by program: one's own, never more than one has, and secrets told once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from discovery.models import ApiToken, Right, Webhook, WebhookDelivery
from discovery.services.integrations import api_tokens
from tests.api.test_access import assert_error
from tests.people import permit

TOKENS, HOOKS = "/api/tokens", "/api/webhooks"
URL = "https://hooks.example.org/karen"


@pytest.fixture(autouse=True)
def public_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """No name is looked up: the address is one outside the network."""
    monkeypatch.setattr(
        "discovery.services.integrations.webhooks.http_client.fault",
        lambda url: "" if url.startswith("https://hooks.example.org") else "is inside your network",
    )


def send(client: Client, address: str, body: Any = None, method: str = "POST") -> Any:
    data = "" if body is None else json.dumps(body)
    return client.generic(method, address, data, "application/json")


def test_a_token_is_made_told_once_used_and_revoked(
    user: User, caller: Callable[..., Client], anybody: Client
) -> None:
    permit(user, Right.EDIT)
    writer = caller(User.objects.get(pk=user.pk), "write")
    made = send(writer, TOKENS, {"name": "nightly", "scope": "read", "days": 30})
    assert made.status_code == 201, made.content
    token, key = made.json()["token"], made.json()["token_id"]
    assert made["Location"].endswith(f"{TOKENS}/{key}")
    listed = writer.get(TOKENS).json()
    assert [row["name"] for row in listed["results"]] == ["nightly", "test 1"]
    assert token not in json.dumps(listed)
    assert "token" not in writer.get(made["Location"]).json()
    header = {"Authorization": f"Bearer {token}"}
    assert anybody.get(TOKENS, headers=header).status_code == 200
    assert send(writer, f"{TOKENS}/{key}/revoke").json() == {"token_id": key, "revoked": True}
    assert send(writer, f"{TOKENS}/{key}/revoke").json()["revoked"] is False
    assert_error(anybody.get(TOKENS, headers=header), 401)


def test_a_token_makes_none_that_may_do_more(
    admin_user: User, caller: Callable[..., Client], reader: Client
) -> None:
    writer = caller(admin_user, "write")
    told = assert_error(send(writer, TOKENS, {"name": "x", "scope": "admin"}), 403)
    assert told["errors"][0]["loc"] == ["body", "scope"]
    assert_error(send(reader, TOKENS, {"name": "x"}), 403)
    assert not ApiToken.objects.filter(name="x").exists()


def test_others_have_tokens_that_one_knows_nothing_of(
    admin_user: User, reader: Client, administrator: Client
) -> None:
    own = ApiToken.objects.get(user=admin_user)
    assert [row["name"] for row in reader.get(TOKENS).json()["results"]] == ["test 1"]
    assert reader.get(TOKENS).json()["count"] == 1
    assert_error(reader.get(f"{TOKENS}/{own.pk}"), 404)
    assert administrator.get(TOKENS).json()["count"] == 2


def test_a_call_does_not_revoke_the_token_that_it_comes_with(administrator: Client) -> None:
    key = ApiToken.objects.get().pk
    assert_error(send(administrator, f"{TOKENS}/{key}/revoke"), 409)
    assert administrator.get(TOKENS).status_code == 200


@pytest.mark.parametrize(
    "body", [{}, {"name": " "}, {"name": "x", "scope": "root"}, {"name": "x", "days": 0}]
)
def test_a_token_that_cannot_be_is_refused(administrator: Client, body: Any) -> None:
    assert_error(send(administrator, TOKENS, body), 422)
    assert ApiToken.objects.count() == 1


def test_a_webhook_is_made_changed_switched_tested_and_deleted(
    administrator: Client, task_queue: Any
) -> None:
    made = send(administrator, HOOKS, {"url": URL, "events": ["scan.finished"]})
    assert made.status_code == 201, made.content
    key, place = made.json()["webhook_id"], made["Location"]
    assert made.json()["secret"].startswith("whsec_")
    assert "secret" not in administrator.get(place).json()
    changed = send(administrator, place, {"url": f"{URL}/2", "enabled": False}, "PUT").json()
    assert (changed["url"], changed["enabled"]) == (f"{URL}/2", False)
    assert changed["events"] == ["scan.finished"]
    sent = send(administrator, f"{place}/test")
    assert (sent.status_code, sent.json()["event"]) == (202, "ping")
    rows = administrator.get(f"{place}/deliveries").json()["results"]
    assert [row["delivery_id"] for row in rows] == [sent.json()["delivery_id"]]
    assert administrator.get(place).json()["last_delivery"] == sent.json()["state"]
    assert administrator.delete(place).status_code == 204
    assert_error(administrator.get(place), 404)
    assert not Webhook.objects.filter(pk=key).exists()


@pytest.mark.parametrize(
    "body",
    [
        {"url": "http://127.0.0.1/", "events": ["scan.finished"]},
        {"url": URL, "events": []},
        {"url": URL, "events": ["scan.begun"]},
        {"events": ["scan.finished"]},
    ],
)
def test_a_webhook_that_cannot_be_is_refused(administrator: Client, body: Any) -> None:
    assert_error(send(administrator, HOOKS, body), 422)
    assert not Webhook.objects.exists()


def test_a_webhook_that_somebody_else_changed_is_not_replaced_unseen(administrator: Client) -> None:
    made = send(administrator, HOOKS, {"url": URL, "events": ["scan.finished"]})
    place, tag = made["Location"], {"If-Match": made["ETag"]}
    assert administrator.get(place)["ETag"] == made["ETag"]
    assert send(administrator, place, {"enabled": False}, "PUT").status_code == 200
    body, kind = json.dumps({"url": "https://hooks.example.org/y"}), "application/json"
    assert_error(administrator.generic("PUT", place, body, kind, headers=tag), 412)
    assert_error(administrator.delete(place, headers=tag), 412)
    fresh = {"If-Match": administrator.get(place)["ETag"]}
    done = administrator.generic("PUT", place, body, kind, headers=fresh)
    assert (done.status_code, done.json()["url"]) == (200, "https://hooks.example.org/y")
    assert administrator.delete(place, headers={"If-Match": done["ETag"]}).status_code == 204


def test_messages_are_filtered_and_their_number_costs_nothing(
    administrator: Client, task_queue: Any
) -> None:
    place = send(administrator, HOOKS, {"url": URL, "events": ["scan.finished"]})["Location"]
    costs = []
    for count in (1, 9):
        for _ in range(count):
            send(administrator, f"{place}/test")
        with CaptureQueriesContext(connection) as asked:
            administrator.get(f"{HOOKS}/deliveries")
        costs.append(len(asked))
    assert costs[0] == costs[1]
    WebhookDelivery.objects.update(state="failed")
    assert administrator.get(f"{HOOKS}/deliveries?state=failed").json()["count"] == 10
    assert administrator.get(f"{HOOKS}/deliveries?state=delivered").json()["count"] == 0


def test_webhooks_are_for_administrators(reader: Client, admin_user: User) -> None:
    assert_error(reader.get(HOOKS), 403)
    _, token = api_tokens.create(admin_user, "look", "read")
    look = Client(headers={"Authorization": f"Bearer {token}"})
    assert look.get(HOOKS).status_code == 200
    assert_error(send(look, HOOKS, {"url": URL, "events": ["scan.finished"]}), 403)
