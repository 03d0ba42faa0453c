"""Reading changes nothing: no address writes to the database when it is asked by GET, whatever
state the registry, its jobs and its disks are in.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from django.contrib.auth.models import User
from django.db.backends.utils import CursorWrapper
from django.test import Client
from django.utils import timezone

from discovery.engine.core.service_words import TokenScope
from discovery.models import RegisteredModel, Root
from discovery.services import jobs
from discovery.services.integrations import api_tokens
from discovery.services.machine import root_probes
from tests.doors import HOLES, TABLE
from tests.hanging import hanging
from tests.services.test_jobs import MAKERS
from tests.web import test_every_door

pytestmark = pytest.mark.slow

known = test_every_door.known

WRITES = re.compile(
    r"\s*(INSERT|UPDATE|DELETE|REPLACE|ALTER|CREATE|DROP|TRUNCATE)\b", re.IGNORECASE
)

#: Tables that a reading may write: who is signed in, who tried to, and when a token was last used.
MAY = ("django_session", "axes_", "discovery_apitoken")


@contextmanager
def writing() -> Iterator[list[str]]:
    """The statements that write, on any connection and in any thread."""
    found: list[str] = []
    execute, many = CursorWrapper.execute, CursorWrapper.executemany

    def note(statement: str) -> None:
        if WRITES.match(statement) and not any(f'"{name}' in statement for name in MAY):
            found.append(statement)

    def execute_and_note(self: Any, sql: Any, params: Any = None) -> Any:
        note(str(sql))
        return execute(self, sql, params)

    def execute_many_and_note(self: Any, sql: Any, params: Any) -> Any:
        note(str(sql))
        return many(self, sql, params)

    with (
        patch.object(CursorWrapper, "execute", execute_and_note),
        patch.object(CursorWrapper, "executemany", execute_many_and_note),
    ):
        yield found


def addresses(known: dict[str, Any]) -> dict[str, str]:
    """{route: address} of all that the URL conf holds, in two states of a model."""
    return {route: test_every_door.address(route, known) for route in {**TABLE, **HOLES}}


def asked(client: Client, known: dict[str, Any]) -> dict[str, list[str]]:
    """{address: statements} of those that write."""
    guilty = {}
    for address in addresses(known).values():
        for headers in ({}, {"HX-Request": "true"}):
            with writing() as found:
                response = client.get(address, headers=headers)
                if response.streaming:
                    b"".join(response)
            if found:
                guilty[address] = found
    return guilty


@pytest.fixture
def callers(admin_user: User, known: dict[str, Any]) -> dict[str, Client]:
    person = Client(raise_request_exception=False)
    person.force_login(admin_user)
    plain = api_tokens.create(admin_user, "reading", TokenScope.ADMIN)
    token = plain if isinstance(plain, str) else plain[1]
    program = Client(raise_request_exception=False, headers={"Authorization": f"Bearer {token}"})
    return {"person": person, "program": program, "anybody": Client(raise_request_exception=False)}


@pytest.fixture(autouse=True)
def unlimited(settings: Any) -> None:
    settings.API_RATE_TOKEN = settings.API_RATE_ADDRESS = ""


def test_the_test_sees_what_writes(db: None, user: User) -> None:
    with writing() as found:
        User.objects.filter(pk=user.pk).update(first_name="x")
        list(User.objects.all())
    assert [statement.split()[0] for statement in found] == ["UPDATE"]


@pytest.mark.parametrize("who", ["person", "program", "anybody"])
def test_no_address_writes_when_it_is_read(
    who: str, callers: dict[str, Client], known: dict[str, Any]
) -> None:
    assert asked(callers[who], known) == {}


def test_none_does_while_jobs_are_cut_off_or_lost(
    callers: dict[str, Client],
    known: dict[str, Any],
    make_model: Callable[..., RegisteredModel],
    settings: Any,
) -> None:
    settings.WEBHOOK_PRIVATE = ["127.0.0.0/8"]
    long_ago = timezone.now() - timedelta(days=2)
    for count, maker in enumerate(MAKERS):
        job = maker(lambda name=f"job-{count}", **more: make_model(name, **more))
        rows = type(job)._default_manager.filter(pk=job.pk)
        rows.update(
            state=jobs.kind_of(job).state.RUNNING, heartbeat_at=long_ago, host="gone", pid=1
        )
    assert asked(callers["person"], known) == {}


def test_none_does_while_a_root_is_gone_or_has_changed(
    callers: dict[str, Client], known: dict[str, Any], models_root: Path
) -> None:
    Root.objects.create(path="/nowhere/models", silent_since=timezone.now())
    shutil.rmtree(models_root / "llama-chat")
    (models_root / "bert-base" / "config.json").write_text("{")
    assert asked(callers["person"], known) == {}
    shutil.rmtree(models_root)
    assert asked(callers["person"], known) == {}


def test_none_does_while_a_root_hangs(
    callers: dict[str, Client], known: dict[str, Any], models_root: Path
) -> None:
    root_probes.forget()
    with hanging(models_root):
        assert asked(callers["person"], known) == {}
    assert Root.objects.get(path=str(models_root)).silent_since is None
    root_probes.forget()
