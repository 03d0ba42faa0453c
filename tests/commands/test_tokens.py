"""``list_tokens``, ``revoke_token``, and names that tell somebody's tokens apart."""

from __future__ import annotations

import importlib
import json
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from discovery.models import ApiToken
from discovery.services.integrations import api_tokens


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    call_command(*arguments)
    return capsys.readouterr().out


def test_tokens_are_listed_without_themselves_and_revoked_by_name_or_beginning(
    user: User, capsys: pytest.CaptureFixture[str]
) -> None:
    row, token = api_tokens.create(user, "nightly")
    other, _ = api_tokens.create(user, "backup job", expires_at=timezone.now() + timedelta(days=2))
    text = printed(capsys, "list_tokens", "reader")
    assert f"reader · nightly · {row.prefix}… · read · valid until revoked · never used" in text
    assert token not in text
    document = json.loads(printed(capsys, "list_tokens", "--json"))
    assert [(each["name"], each["valid"]) for each in document] == [
        ("backup job", True),
        ("nightly", True),
    ]
    assert "revoked" in printed(capsys, "revoke_token", "reader", "nightly")
    assert "is revoked" in printed(capsys, "revoke_token", "reader", other.prefix)
    assert "before" in printed(capsys, "revoke_token", "reader", "nightly")
    assert api_tokens.find(token) is None
    assert "no valid tokens" in printed(capsys, "list_tokens")
    assert "revoked on" in printed(capsys, "list_tokens", "--all")


@pytest.mark.parametrize(
    "arguments", [["revoke_token", "reader", "none"], ["list_tokens", "nobody"]]
)
def test_what_is_not_there_is_a_sentence_and_exit_code_two(
    user: User, arguments: list[str]
) -> None:
    with pytest.raises(CommandError) as ended:
        call_command(*arguments)
    assert ended.value.returncode == 2


def test_a_name_is_one_valid_token_a_person(user: User, admin_user: User) -> None:
    api_tokens.create(user, "nightly")
    with pytest.raises(api_tokens.TokenError, match="has a token named nightly already"):
        api_tokens.create(user, "  nightly ")
    api_tokens.create(admin_user, "nightly")
    ApiToken.objects.filter(user=user).update(expires_at=timezone.now() - timedelta(days=1))
    expired = ApiToken.objects.get(user=user)
    api_tokens.create(user, "nightly")
    api_tokens.revoke(ApiToken.objects.get(user=user, revoked_at=None))
    api_tokens.create(user, "nightly")
    expired.refresh_from_db()
    assert expired.revoked_at is not None


def test_names_that_were_given_twice_are_numbered_by_the_migration(user: User) -> None:
    migration = importlib.import_module("discovery.migrations.0037_commands")
    for name in ("a", "b", "c"):
        api_tokens.create(user, name)
    renamed = {"b": "a", "c": "a"}
    rows = list(ApiToken.objects.order_by("pk"))
    for row in rows:
        row.name = renamed.get(row.name, row.name)

    class Rows(list[ApiToken]):
        def values_list(self, *_: str) -> list[tuple[int, str]]:
            return [(each.user_id, each.name) for each in self]

        def order_by(self, *_: str) -> list[ApiToken]:
            return self

    class Historic:
        objects = type("_", (), {"filter": staticmethod(lambda **_: Rows(rows))})

    class Apps:
        get_model = staticmethod(lambda *_: Historic)

    migration.tell_names_apart(Apps, connection.schema_editor)
    assert [row.name for row in rows] == ["a", "a (2)", "a (3)"]
