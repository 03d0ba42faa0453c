"""An unsafe model says so wherever it is named, so that nobody loads it from a list."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from discovery.models import RegisteredModel
from discovery.services.findings import findings
from discovery.services.metadata import metadata

Make = Callable[..., RegisteredModel]


@pytest.fixture
def pair(make_model: Make, admin_user: User) -> None:
    """Two models alike in all but that one is unsafe: same weights, a problem and an edit each."""
    for name, status in (("evil-model", "UNSAFE"), ("good-model", "READY")):
        record = make_model(
            name,
            status=status,
            scanned_status=status,
            content="c" * 32,
            fingerprint="f" * 32,
            size_bytes=1_000,
        )
        variant = {
            "name": "pytorch",
            "path": name,
            "format": "pytorch",
            "files": [f"{name}/w.bin"],
            "size_bytes": 1_000,
            "status": status,
        }
        record.files, record.variants = [[f"{name}/w.bin", 1_000]], [variant]
        code = "unsafe_pickle" if status == "UNSAFE" else "unknown_import"
        record.problems = [
            {
                "code": code,
                "message": "it calls os.system",
                "path": f"{name}/w.bin",
                "severity": "error",
                "offset": 1,
            }
        ]
        record.save()
        metadata.edit(
            record,
            {"license": "mit", "base_model": "other" if name.startswith("evil") else "evil-model"},
            by=admin_user,
            channel="page",
        )
        if status == "UNSAFE":
            findings.after_scan([record])


PAGES = ["/", "/models/", "/problems/", "/history/", "/report/", "/models/evil-model/",
    "/models/evil-model/health/", "/models/evil-model/files/",
    "/compare/?id=evil-model&id=good-model", "/compare/?id=good-model&add=evil",
    "/models/good-model/family/"]  # fmt: skip


@pytest.mark.parametrize("path", PAGES)
def test_it_is_marked_beside_its_name_and_the_other_is_not(
    path: str, admin_client: Client, pair: None
) -> None:
    page = admin_client.get(path).content.decode().split("<main", 1)[1]
    assert re.search(r'evil-model.*?<span class="status bad"[^>]*>Unsafe</span>', page, re.DOTALL)
    named = re.split(r"(?=>(?:<bdi>)?(?:evil|good)-model<)", page)
    for piece in named[1:]:
        if "good-model" in piece[:30] and "evil-model" not in piece:
            assert ">Unsafe</span>" not in piece
