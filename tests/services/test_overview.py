"""What the Overview says of the registry as a whole: sums, the largest, the newest, the troubled,
growth.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.utils import timezone

from discovery.models import Finding, RegisteredModel, ScanRun, Visibility
from discovery.services.insight import overview

Make = Callable[..., RegisteredModel]


@pytest.fixture
def staff(admin_user: User) -> User:
    return admin_user


def test_sums_count_all_models_and_only_the_bytes_that_are_there(
    staff: User, make_model: Make
) -> None:
    make_model("a", primary="LANGUAGE", size_bytes=100)
    make_model("b", primary="LANGUAGE", size_bytes=50, status="MISSING")
    make_model("c", primary="VISION", size_bytes=7, extracted={"type": "ONNX"})
    make_model("d", size_bytes=3)
    registry = overview.registry(staff)
    assert (registry.models, registry.size) == (4, 110)
    assert [(share.value, share.models, share.size) for share in registry.by("primary")] == [
        ("LANGUAGE", 2, 100),
        ("", 1, 3),
        ("VISION", 1, 7),
    ]
    assert [(share.value, share.models) for share in registry.by("type")] == [
        ("TRANSFORMERS", 3),
        ("ONNX", 1),
    ]
    assert registry.count("MISSING") == 1
    assert overview.troubled(registry) == [("MISSING", 1)]


def test_an_empty_registry_has_no_sums(staff: User) -> None:
    registry = overview.registry(staff)
    assert (registry.models, registry.size, registry.by("type")) == (0, 0, [])


def test_nobody_is_told_of_models_they_may_not_see(
    staff: User, user: User, make_model: Make
) -> None:
    make_model("public", visibility=Visibility.PUBLIC, size_bytes=5)
    make_model("hidden", size_bytes=1000)
    for visitor in (user, AnonymousUser()):
        assert overview.registry(visitor).size == 5
        assert [each.name for each in overview.largest(visitor, 5)] == ["public"]
        assert [each.name for each in overview.recently_added(visitor, 5)] == ["public"]
        assert overview.added_this_week(visitor) == 1
    assert overview.added_this_week(staff) == 2


def test_the_largest_come_first_and_nothing_that_is_gone(staff: User, make_model: Make) -> None:
    for name, size, primary in (("s", 1, "AUDIO"), ("l", 9, "AUDIO"), ("m", 5, None)):
        make_model(name, size_bytes=size, primary=primary)
    make_model("gone", size_bytes=99, status="MISSING")
    make_model("empty", size_bytes=0)
    assert [each.name for each in overview.largest(staff, 2)] == ["l", "m"]
    assert [each.name for each in overview.largest(staff, 9, "AUDIO")] == ["l", "s"]
    assert [each.name for each in overview.largest(staff, 9, "")] == ["m"]


def test_changed_are_those_that_changed_after_they_came(staff: User, make_model: Make) -> None:
    old = make_model("old", added_at=timezone.now() - timedelta(days=30))
    make_model("new")
    assert overview.recently_changed(staff, 5) == [old]
    assert [each.name for each in overview.recently_added(staff, 1)] == ["new"]
    assert overview.added_this_week(staff) == 1


def found(model: RegisteredModel, code: str, **fields: Any) -> Finding:
    now = timezone.now()
    values = {
        "source": "scan",
        "severity": "error",
        "message": code,
        "first_seen_at": now,
        "last_seen_at": now,
        **fields,
    }
    return Finding.objects.create(model=model, code=code, **values)


def test_each_troubled_model_comes_once_errors_first(make_model: Make) -> None:
    a, b, c = make_model("a"), make_model("b"), make_model("c")
    found(a, "remark", severity="warning")
    found(b, "truncated")
    found(b, "header")
    found(c, "done", resolved_at=timezone.now())
    found(c, "later", snoozed_until=timezone.now() + timedelta(days=1))
    rows = overview.attention(5)
    assert [row.model.name for row in rows] == ["b", "a"]
    assert rows[0].severity == "error"
    assert len(overview.attention(1)) == 1


def test_growth_has_one_point_a_day_of_whole_scans_that_ended(db: None) -> None:
    now = timezone.now()

    def run(days: float, count: int, **fields: Any) -> None:
        ScanRun.objects.create(
            **{
                "state": "done",
                "trigger": "page",
                "finished_at": now - timedelta(days=days),
                "found": count,
                **fields,
            }
        )

    run(400, 1)
    run(2, 10)
    run(2, 12)
    run(2, 13, state="failed")
    run(2, 14, path="/a/folder")
    run(1, 11, missing=1)
    assert [(point.found, point.missing) for point in overview.growth(now)] == [(12, 0), (11, 1)]


def test_all_but_the_largest_of_models_that_look_alike_could_be_had_back(make_model: Make) -> None:
    make_model("a", fingerprint="1" * 32, size_bytes=100)
    make_model("b", fingerprint="1" * 32, size_bytes=90)
    make_model("c", fingerprint="1" * 32, size_bytes=80, status="MISSING")
    make_model("d", fingerprint="2" * 32, size_bytes=70)
    assert overview.possible_duplicates() == 90
    RegisteredModel.objects.filter(name="b").delete()
    assert overview.possible_duplicates() == 0
