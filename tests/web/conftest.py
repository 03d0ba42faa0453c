"""Visitors of the pages, and models that lie on disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

from discovery.models import RegisteredModel, Root, ScanRun
from discovery.services import scans


@pytest.fixture
def reader_client(client: Client, user: User) -> Client:
    """Signed in, no administrator."""
    client.force_login(user)
    return client


@pytest.fixture
def register(db: None, models_root: Path) -> Callable[..., RegisteredModel]:
    """``register("folder")`` scans the models' folder and returns the model found there."""

    def scanned(path: str) -> RegisteredModel:
        Root.objects.get_or_create(path=str(models_root))
        run, _ = scans.start_now(ScanRun.Trigger.COMMAND, path=str(models_root))
        scans.execute(run)
        return RegisteredModel.objects.get(path=path)

    return scanned
