"""Callers of the API: nobody, a reader and an administrator, by token."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.cache import cache
from django.test import Client

from discovery.models import ApiToken
from discovery.services.integrations import api_tokens


@pytest.fixture(autouse=True)
def fresh_counters() -> None:
    """No test is throttled by what another one asked."""
    cache.clear()


@pytest.fixture
def anybody() -> Client:
    """Without credentials. What the server fails at is answered, not raised."""
    return Client(raise_request_exception=False)


@pytest.fixture
def caller(db: None) -> Callable[..., Client]:
    """``caller(user, "write")``: a program that comes with a token of that user."""

    def make(user: User, scope: str = "read", **more: Any) -> Client:
        name = f"test {ApiToken.objects.filter(user=user).count() + 1}"
        _, token = api_tokens.create(user, name, scope, **more)
        return Client(raise_request_exception=False, headers={"Authorization": f"Bearer {token}"})

    return make


@pytest.fixture
def reader(user: User, caller: Callable[..., Client]) -> Client:
    return caller(user)


@pytest.fixture
def administrator(admin_user: User, caller: Callable[..., Client]) -> Client:
    return caller(admin_user, "admin")
