"""Who gets in, what they see, and that everything that goes wrong is said in one shape."""

from __future__ import annotations

import errno
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import OperationalError
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from discovery.models import ApiToken, RegisteredModel
from discovery.services.integrations import api_tokens
from discovery.services.search import model_search

Make = Callable[..., RegisteredModel]

LIST = "/api/models/discovered"


def assert_error(response: Any, status: int) -> dict[str, Any]:
    """The contract's shape, whatever the status."""
    assert response.status_code == status, response.content
    assert response["Content-Type"].startswith("application/json")
    body: dict[str, Any] = response.json()
    assert set(body) == {"detail", "errors"}
    assert body["detail"]
    assert "Traceback" not in body["detail"]
    assert all(set(item) == {"loc", "msg"} for item in body["errors"])
    return body


@pytest.fixture
def shelf(make_model: Make, user: User) -> dict[str, RegisteredModel]:
    """One model of each visibility, and one shared with the reader's group."""
    group = Group.objects.create(name="readers")
    user.groups.add(group)
    models = {
        name: make_model(name, visibility=name.upper().replace("-", "_"))
        for name in ("public", "restricted", "admin-only")
    }
    models["shared"] = make_model("shared", visibility="RESTRICTED")
    models["shared"].groups.add(group)
    return models


def ids(response: HttpResponse) -> set[str]:
    return {row["model_id"] for row in response.json()["results"]}  # type: ignore[attr-defined]


def test_each_caller_sees_what_they_may_and_is_told_of_no_more(
    shelf: dict[str, RegisteredModel], anybody: Client, reader: Client, administrator: Client
) -> None:
    for client, seen in (
        (anybody, {"public"}),
        (reader, {"public", "shared"}),
        (administrator, set(shelf)),
    ):
        listed = client.get(LIST)
        assert ids(listed) == seen
        assert listed.json()["count"] == len(seen)
        for model_id in shelf:
            answer = client.get(f"/api/models/{model_id}")
            assert answer.status_code == (200 if model_id in seen else 404)
    assert_error(anybody.get("/api/models/restricted"), 404)


def test_a_token_that_is_not_valid_is_refused_even_where_nobody_needs_one(
    user: User, anybody: Client, caller: Callable[..., Client]
) -> None:
    expired, revoked, left = caller(user), caller(user), caller(User.objects.create_user("gone"))
    first, second, third = ApiToken.objects.order_by("pk")
    ApiToken.objects.filter(pk=first.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    api_tokens.revoke(second)
    User.objects.filter(pk=third.user_id).update(is_active=False)
    for client in (expired, revoked, left):
        assert assert_error(client.get(LIST), 401)
    for header in (
        "Bearer karen_guess",
        "Bearer",
        "Basic YTpi",
        "Bearer karen_" + "x" * 5000,
        "Bearer other",
    ):
        response = anybody.get(LIST, headers={"Authorization": header})
        assert_error(response, 401)
        assert response["WWW-Authenticate"] == "Bearer"


def test_the_token_itself_is_not_kept_and_its_use_is_noted_once_a_minute(
    user: User, reader: Client
) -> None:
    row = ApiToken.objects.get()
    assert row.last_used_at is None
    reader.get(LIST)
    row.refresh_from_db()
    used = row.last_used_at
    reader.get(LIST)
    row.refresh_from_db()
    assert used is not None
    assert row.last_used_at == used
    _, token = api_tokens.create(user, "another")
    assert not ApiToken.objects.filter(digest=token).exists()
    assert all(
        token not in str(value)
        for value in ApiToken.objects.filter(name="another").values_list().get()
    )


@pytest.mark.parametrize(
    ("name", "scope", "expires"),
    [
        ("", "read", None),
        (" \0", "read", None),
        ("x", "root", None),
        ("x", "admin", None),
        ("x", "read", "past"),
    ],
)
def test_no_token_is_made_that_would_do_nothing(
    user: User, name: str, scope: str, expires: str | None
) -> None:
    when = timezone.now() - timedelta(days=1) if expires else None
    with pytest.raises(api_tokens.TokenError):
        api_tokens.create(user, name, scope, expires_at=when)
    assert not ApiToken.objects.exists()


def test_unknown_addresses_wrong_methods_and_wrong_hosts_are_answered_in_json(
    anybody: Client, db: None
) -> None:
    assert_error(anybody.get("/api/nothing"), 404)
    assert_error(anybody.get("/api/models/discovered/"), 404)
    refused = anybody.delete(LIST)
    assert_error(refused, 405)
    assert refused["Allow"] == "GET"
    assert_error(anybody.get(LIST, headers={"Host": "evil.example"}), 400)


@pytest.mark.parametrize(
    "query",
    [
        "colour=blue",
        "page=0",
        "page=x",
        "page_size=501",
        "type=FAST",
        "status=ready",
        "ordering=smell",
        "page=99999999999999999999",
    ],
)
def test_unknown_filters_and_values_are_refused_and_never_dropped(
    query: str, anybody: Client, db: None
) -> None:
    body = assert_error(anybody.get(f"{LIST}?{query}"), 422)
    assert body["errors"][0]["loc"][:2] == ["query", query.partition("=")[0]]


def test_a_database_that_does_not_answer_is_503_and_a_fault_of_ours_500_without_a_trace(
    anybody: Client, shelf: dict[str, RegisteredModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(error: Exception) -> Callable[..., Any]:
        def failing(*_: Any) -> Any:
            raise error

        return failing

    monkeypatch.setattr(model_search, "listed", fail(OperationalError("database is locked")))
    unavailable = anybody.get(LIST)
    assert_error(unavailable, 503)
    assert unavailable["Retry-After"] == "1"
    monkeypatch.setattr(model_search, "listed", fail(RuntimeError("a secret of ours")))
    assert "secret" not in str(assert_error(anybody.get(LIST), 500))


def test_callers_are_slowed_down_each_by_their_own_count(
    anybody: Client, reader: Client, db: None, settings: Any
) -> None:
    settings.API_RATE_ADDRESS, settings.API_RATE_TOKEN = "2/h", "3/h"
    assert [anybody.get(LIST).status_code for _ in range(3)] == [200, 200, 429]
    assert [reader.get(LIST).status_code for _ in range(4)] == [200, 200, 200, 429]
    slow = reader.get(LIST)
    assert_error(slow, 429)
    assert 0 < int(slow["Retry-After"]) <= 3601
    assert anybody.get(LIST, REMOTE_ADDR="10.1.1.1").status_code == 200
    settings.API_RATE_ADDRESS = ""
    assert anybody.get(LIST).status_code == 200


def test_every_answer_says_what_is_left_of_the_limit(
    reader: Client, shelf: dict[str, RegisteredModel], settings: Any
) -> None:
    settings.API_RATE_TOKEN = "3/h"
    first = reader.get(LIST)
    unchanged = reader.get(LIST, headers={"If-None-Match": first["ETag"]})
    missing, slow = reader.get("/api/models/nobody"), reader.get("/v1/models")
    asked = (first, unchanged, missing, slow)
    assert [each.status_code for each in asked] == [200, 304, 404, 429]
    assert [each["RateLimit-Remaining"] for each in asked] == ["2", "1", "0", "0"]
    assert {each["RateLimit-Limit"] for each in asked} == {"3"}
    assert slow["RateLimit-Reset"] == slow["Retry-After"]
    settings.API_RATE_TOKEN = ""
    assert "RateLimit-Limit" not in reader.get(LIST)


@pytest.mark.parametrize(
    ("method", "address"),
    [
        ("GET", LIST),
        ("GET", "/api/export"),
        ("GET", "/api/models/nobody"),
        ("POST", "/api/problems/accept"),
        ("PUT", "/api/models/nobody/metadata"),
    ],
)
def test_ten_thousand_parameters_are_refused_with_the_reason(
    administrator: Client, method: str, address: str
) -> None:
    query = "&".join(f"tag=x{number}" for number in range(10_000))
    told = assert_error(administrator.generic(method, f"{address}?{query}"), 400)
    assert told["detail"] == "The request has more than 1,000 parameters: send fewer."


def test_guessing_tokens_is_slowed_down_too(anybody: Client, db: None, settings: Any) -> None:
    settings.API_RATE_ADDRESS = "2/h"
    guesses = [
        anybody.get(LIST, headers={"Authorization": "Bearer karen_x"}).status_code for _ in range(3)
    ]
    assert guesses == [401, 401, 429]


def test_a_forwarded_address_is_believed_only_of_trusted_proxies(
    anybody: Client, db: None, settings: Any
) -> None:
    settings.API_RATE_ADDRESS = "1/h"
    assert [
        anybody.get(LIST, headers={"X-Forwarded-For": f"9.9.9.{n}"}).status_code for n in range(2)
    ] == [200, 429]
    settings.API_PROXIES = 1
    assert [
        anybody.get(LIST, headers={"X-Forwarded-For": f"1.1.1.1, 9.9.9.{n}"}).status_code
        for n in range(2)
    ] == [200, 200]


def test_what_has_not_changed_is_not_sent_again(
    shelf: dict[str, RegisteredModel], administrator: Client
) -> None:
    for address in (LIST, "/api/models/public"):
        first = administrator.get(address)
        again = administrator.get(address, headers={"If-None-Match": first["ETag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert administrator.get(address, headers={"If-None-Match": '"other"'}).status_code == 200
    RegisteredModel.objects.filter(model_id="public").update(name="renamed")
    assert (
        administrator.get(
            "/api/models/public", headers={"If-None-Match": first["ETag"]}
        ).status_code
        == 200
    )


def test_answers_are_compressed_for_those_who_ask(make_model: Make, administrator: Client) -> None:
    for number in range(10):
        make_model(f"model-{number}")
    assert (
        administrator.get(LIST, headers={"Accept-Encoding": "gzip"})["Content-Encoding"] == "gzip"
    )
    assert not administrator.get(LIST).has_header("Content-Encoding")


def test_pages_of_other_sites_get_no_answer_unless_the_settings_name_them(
    shelf: dict[str, RegisteredModel], reader: Client, settings: Any
) -> None:
    asks = {"Origin": "https://chat.example.org", "Access-Control-Request-Method": "PUT"}
    assert_error(reader.options(LIST, headers=asks), 405)
    assert not reader.get(LIST, headers=asks).has_header("Access-Control-Allow-Origin")
    settings.CORS_ALLOWED_ORIGINS = ["https://chat.example.org"]
    allowed = reader.options("/api/models/public/metadata", headers=asks)
    assert (allowed.status_code, allowed["Access-Control-Allow-Origin"]) == (
        200,
        "https://chat.example.org",
    )
    assert "Authorization" in allowed["Access-Control-Allow-Headers"]
    assert allowed["Access-Control-Allow-Methods"] == "GET, POST, PUT, DELETE"
    assert allowed["Access-Control-Max-Age"] == "600"
    answer = reader.get(LIST, headers=asks)
    assert answer["Access-Control-Allow-Origin"] == "https://chat.example.org"
    assert "origin" in answer["Vary"].lower()
    assert "ETag" in answer["Access-Control-Expose-Headers"]
    assert not answer.has_header("Access-Control-Allow-Credentials")
    refused = reader.get("/api/models/nope", headers=asks)
    assert refused["Access-Control-Allow-Origin"] == "https://chat.example.org"
    assert not reader.get(LIST, headers={"Origin": "https://evil.example"}).has_header(
        "Access-Control-Allow-Origin"
    )
    assert not reader.get("/login/", headers=asks).has_header("Access-Control-Allow-Origin")


def test_a_full_disk_is_told_as_such_and_without_places(
    anybody: Client, shelf: dict[str, RegisteredModel], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device", "/srv/data/x")

    monkeypatch.setattr(model_search, "listed", full)
    detail = assert_error(anybody.get(LIST), 503)["detail"]
    assert detail == "The disk of the server is full: nothing can be written."
