"""Activity: every kind of event in one order, to whom it may be known, each once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.utils import timezone

from discovery.models import (
    Download,
    MetadataChange,
    Recategorization,
    RegisteredModel,
    Root,
    ScanRun,
    SettingChange,
    Visibility,
)
from discovery.services.access import access_rules, rule_terms
from discovery.services.access.redaction import Sight
from discovery.services.activity.feed import Feed, Wanted, seen_by
from discovery.services.activity.sources import SOURCES
from discovery.services.metadata import metadata

Make = Callable[..., RegisteredModel]


@pytest.fixture
def history(make_model: Make, admin_user: User) -> list[str]:
    """One event of each kind; returns the kinds, the newest first."""
    moment = timezone.now() - timedelta(hours=9)
    metadata.edit(make_model("one"), {"license": "mit"}, by=admin_user, channel="page")
    access_rules.make(
        rule_terms.term("license", "mit"), visibility=Visibility.PUBLIC, groups=[], by=admin_user
    )
    Group.objects.create(name="readers")
    SettingChange.objects.create(
        file="model_discovery.json", key="discovery.max_scan_depth", channel=SettingChange.PAGE
    )
    ScanRun.objects.create(trigger="manual", state="done", finished_at=moment, new=3, missing=1)
    Recategorization.objects.create(state="done", changed=7, finished_at=moment)
    Download.objects.create(
        registry="hub",
        remote_id="org/x",
        root=Root.objects.get(),
        folder="x",
        state="done",
        finished_at=moment,
    )
    kinds = ["user", "setting", "access", "edit", "rules", "scan", "download"]
    for number, kind in enumerate(kinds):
        source = SOURCES[kind]
        rows: Any = source.rows(Sight(None))
        rows.update(**{source.at: timezone.now() - timedelta(hours=number)})
    return kinds


def told(user: User | None, together: bool = False, **wanted: Any) -> list[tuple[str, str]]:
    return [
        (event.mark.kind, event.text)
        for event in Feed(Sight(user), Wanted(**wanted), together=together)[:100]
    ]


@pytest.mark.django_db
def test_every_kind_of_event_is_in_one_list_the_newest_first(
    history: list[str], admin_user: User
) -> None:
    found = told(admin_user)
    kinds = [kind for kind, _ in found]
    assert sorted(set(kinds)) == sorted(SOURCES)
    assert list(dict.fromkeys(kinds)) == history
    texts = dict(found)
    assert texts["edit"] == "Changed license of one"
    assert texts["scan"] == "Scan done: 3 new, 1 missing"
    assert texts["download"] == "Download of org/x from hub: done"
    assert texts["rules"] == "Applied the rules: 7 models re-categorized"
    assert texts["setting"] == "Changed discovery.max_scan_depth in model_discovery.json"
    assert "Visibility: not set → Public" in texts["access"]


@pytest.mark.django_db
def test_people_are_told_of_what_they_may_see(history: list[str], make_model: Make) -> None:
    reader = User.objects.create_user("reader")
    assert told(reader) == [("edit", "Changed license of one")]  # the rule made it public
    RegisteredModel.objects.update(visibility=Visibility.RESTRICTED)
    assert told(reader) == []
    assert [source.kind for source in seen_by(Sight(reader))] == ["edit"]
    assert Feed(Sight(reader), Wanted(kinds=("scan", "access", "user"))).after(None, 9) == []


@pytest.mark.django_db
def test_who_made_an_edit_is_for_administrators(history: list[str], admin_user: User) -> None:
    reader = User.objects.create_user("reader")
    for user, name in ((admin_user, admin_user.username), (reader, "")):
        [event] = Feed(Sight(user), Wanted(kinds=("edit",)))[:5]
        assert event.by == name


@pytest.mark.django_db
def test_edits_made_together_are_one_event(make_model: Make, admin_user: User) -> None:
    models = [make_model(f"m{number}") for number in range(3)]
    for model in models:
        metadata.edit(model, {"license": "mit", "author": "Ann"}, by=admin_user, channel="page")
    MetadataChange.objects.update(batch=MetadataChange.objects.all()[0].batch)
    assert len(told(admin_user, kinds=("edit",))) == 6
    assert told(admin_user, together=True, kinds=("edit",)) == [
        ("edit", "Changed author and license of 3 models")
    ]


@pytest.mark.django_db
def test_filters_narrow_it(history: list[str], admin_user: User) -> None:
    assert {kind for kind, _ in told(admin_user, by=admin_user.username)} == {"access", "edit"}
    since = timezone.now() - timedelta(hours=1, minutes=30)
    assert {kind for kind, _ in told(admin_user, since=since)} == {"user", "setting"}
    assert {kind for kind, _ in told(admin_user, until=since)} == {
        "access", "edit", "rules", "scan", "download",
    }  # fmt: skip


@pytest.mark.django_db
def test_a_walk_meets_each_event_once_even_where_times_are_equal(
    history: list[str], admin_user: User, make_model: Make
) -> None:
    moment = timezone.now()
    for source in SOURCES.values():
        rows: Any = source.rows(Sight(None))
        rows.update(**{source.at: moment})
    feed = Feed(Sight(admin_user), Wanted())
    total = len(feed)
    met, last = [], None
    while page := feed.after(last, 2):
        met += [event.mark for event in page]
        last = page[-1].mark
        metadata.edit(
            make_model(f"meanwhile {len(met)}"), {"author": "A"}, by=admin_user, channel="page"
        )
    assert len(met) == len(set(met)) == total


@pytest.mark.django_db
def test_a_page_takes_the_same_queries_however_long_it_is(
    history: list[str], admin_user: User, make_model: Make, django_assert_max_num_queries: Any
) -> None:
    for number in range(30):
        metadata.edit(make_model(f"m{number}"), {"author": "Ann"}, by=admin_user, channel="page")
    with django_assert_max_num_queries(10):  # count, order, edits' batches, one for each kind
        assert len(Feed(Sight(admin_user), Wanted(), together=True)[:50]) > 35
