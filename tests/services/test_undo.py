"""Undo restores exactly: values, tags, collections, and whose decision it was; and keeps what was
decided since.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import Group, User
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from discovery.models import Collection, MetadataChange, RegisteredModel
from discovery.services.bulk import bulk_edits
from discovery.services.bulk.operations import Operation
from discovery.services.bulk.selections import Selection
from discovery.services.findings import triage
from discovery.services.metadata import metadata, undo
from discovery.services.registry import tags
from tests.people import administer

Make = Callable[..., RegisteredModel]
Snapshot = dict[str, dict[str, Any]]


def snapshot() -> Snapshot:
    """Everything about each model that people decide, and what follows from it."""
    return {
        model.model_id: {
            "curated": model.curated,
            "visibility": model.visibility,
            "license": model.license,
            "primary": model.primary,
            "tagged": set(model.tagged.values_list("name", flat=True)),
            "collections": set(model.collections.values_list("name", flat=True)),
            "groups": set(model.groups.values_list("name", flat=True)),
        }
        for model in RegisteredModel.objects.all()
    }


def change(model: RegisteredModel, by: User, **values: Any) -> UUID:
    made, *_ = metadata.edit(model, values, by=by, channel="page")
    return made.batch


def test_an_undo_restores_the_value_and_whose_decision_it_was(
    make_model: Make, user: User, admin_user: User
) -> None:
    model = make_model("m", license="mit")
    change(model, user, license="apache-2.0")
    before = snapshot()
    batch = change(model, admin_user, license="gpl-3.0")
    edit = bulk_edits.undo_batch(batch, by=admin_user, channel="page")
    assert snapshot() == before
    assert before["m"]["curated"]["license"]["by"] == "reader"
    (row,) = MetadataChange.objects.filter(undoes=batch)
    assert (row.before, row.after, row.batch, row.by) == (
        "gpl-3.0",
        "apache-2.0",
        edit.batch,
        admin_user,
    )


def test_an_undo_can_be_undone(make_model: Make, user: User) -> None:
    model = make_model("m", license="mit")
    batch = change(model, user, license="apache-2.0")
    after = snapshot()
    back = bulk_edits.undo_batch(batch, by=user)
    bulk_edits.undo_batch(back.batch, by=user)
    assert snapshot() == after
    bulk_edits.undo_batch(batch, by=user)
    model.refresh_from_db()
    assert (model.license, model.curated) == ("mit", {})


def test_what_was_decided_since_is_kept_and_reported(make_model: Make, user: User) -> None:
    models = [make_model(name) for name in ("a", "b")]
    edit = bulk_edits.request(
        Operation.read("tags", add={"tags": ["t"]}), Selection(query=""), by=administer(user)
    )
    change(models[0], user, tags=["t", "mine"])
    change(models[1], user, license="mit")
    back = bulk_edits.undo_batch(edit.batch, by=user)
    assert (back.changed, back.skipped) == (1, 1)
    assert [each["model_id"] for each in back.reasons] == ["a"]
    assert "changed again since" in back.reasons[0]["reason"]
    assert [model.value("tags") for model in RegisteredModel.objects.order_by("name")] == [
        ["t", "mine"],
        None,
    ]
    assert RegisteredModel.objects.get(name="b").license == "mit"


def test_the_same_value_decided_again_by_somebody_else_is_kept(
    make_model: Make, user: User, admin_user: User
) -> None:
    model = make_model("m")
    first = change(model, user, license="mit")
    change(model, admin_user, license="apache-2.0")
    change(model, admin_user, license="mit")
    back = bulk_edits.undo_batch(first, by=user)
    assert (back.changed, back.skipped) == (0, 1)
    model.refresh_from_db()
    assert model.curated["license"]["by"] == "admin"


def test_a_batch_is_not_taken_back_twice(make_model: Make, user: User) -> None:
    model = make_model("m")
    batch = change(model, user, license="mit")
    bulk_edits.undo_batch(batch, by=user)
    again = bulk_edits.undo_batch(batch, by=user)
    assert (again.changed, again.skipped) == (0, 1)
    assert MetadataChange.objects.count() == 2


def test_one_change_of_a_batch_is_undone_alone(make_model: Make, user: User) -> None:
    model = make_model("m")
    metadata.edit(model, {"license": "mit", "author": "A"}, by=user, channel="page")
    undo.undo_change(MetadataChange.objects.get(field="license"), by=user, channel="page")
    model.refresh_from_db()
    assert (model.license, model.author) == (None, "A")
    with pytest.raises(undo.NotUndoable, match="changed again since"):
        undo.undo_change(
            MetadataChange.objects.get(field="license", undoes=None), by=user, channel="page"
        )
    back = bulk_edits.undo_batch(MetadataChange.objects.get(field="author").batch, by=user)
    model.refresh_from_db()
    assert (model.author, back.changed, back.skipped) == (None, 1, 1)


def test_a_collection_that_exists_no_more_cannot_come_back(make_model: Make, user: User) -> None:
    model = make_model("m")
    shelf = Collection.objects.create(name="shelf")
    change(model, user, collections=["shelf"])
    batch = change(model, user, collections=[])
    shelf.delete()
    back = bulk_edits.undo_batch(batch, by=user)
    assert (back.changed, "shelf exists no more" in back.reasons[0]["reason"]) == (0, True)


def test_an_undo_shows_no_model_that_was_put_in_quarantine_since(
    make_model: Make, user: User
) -> None:
    model = make_model("m", visibility="PUBLIC")
    batch = change(model, user, visibility="RESTRICTED")
    triage.quarantine(model, by=user)
    back = bulk_edits.undo_batch(batch, by=user)
    model.refresh_from_db()
    assert (model.visibility, back.changed, back.skipped) == ("ADMIN_ONLY", 0, 1)


def test_decisions_about_findings_are_not_undone_here(make_model: Make, user: User) -> None:
    model = make_model("m")
    triage.quarantine(model, by=user)
    row = MetadataChange.objects.get()
    assert not undo.is_undoable(row.field)
    with pytest.raises(bulk_edits.EmptySelection):
        bulk_edits.undo_batch(row.batch, by=user)
    with pytest.raises(bulk_edits.EmptySelection):
        bulk_edits.undo_batch(uuid4(), by=user)


OPERATIONS = st.one_of(
    st.builds(
        lambda names: ("tags", {"add": {"tags": names}}),
        st.lists(st.sampled_from("abc"), min_size=1, max_size=2, unique=True),
    ),
    st.builds(
        lambda names: ("tags", {"remove": {"tags": names}}),
        st.lists(st.sampled_from("abx"), min_size=1, max_size=2, unique=True),
    ),
    st.builds(
        lambda names: ("tags", {"values": {"tags": names}}),
        st.sampled_from([None, [], ["a"], ["x", "c"]]),
    ),
    st.builds(
        lambda value: ("metadata", {"values": {"license": value}}),
        st.sampled_from([None, "mit", "apache-2.0"]),
    ),
    st.builds(
        lambda value: ("metadata", {"values": {"custom": value}}),
        st.sampled_from([None, {"k": 1}, {"k": None, "l": [1]}]),
    ),
    st.builds(
        lambda value: ("category", {"values": {"primary": value}}),
        st.sampled_from([None, "AUDIO", "VISION"]),
    ),
    st.builds(
        lambda value, name: (
            "visibility",
            {"values": {"visibility": value}, "add": {"groups": [name]}},
        ),
        st.sampled_from(["PUBLIC", "RESTRICTED"]),
        st.sampled_from(["g", "h"]),
    ),
    st.builds(
        lambda how: ("collection", {how: {"collections": ["shelf"]}}),
        st.sampled_from(["add", "remove"]),
    ),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("edit"),
            OPERATIONS,
            st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, unique=True),
        ),
        st.tuples(st.just("undo"), st.integers(0, 9), st.none()),
    ),
    min_size=1,
    max_size=9,
)


@pytest.mark.slow
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
def test_undo_restores_exactly_after_any_sequence_of_edits_and_undos(
    steps: list[Any], make_model: Make, admin_user: User
) -> None:
    """Every batch is undone exactly while it is the newest, an old one touches nothing that was
    decided since, and the way back leads home.
    """
    with transaction.atomic():
        for name, facts in (
            ("a", {"license": "mit", "tags": ["x"]}),
            ("b", {"tags": []}),
            ("c", {}),
        ):
            make_model(name, **facts)
        tags.sync(list(RegisteredModel.objects.all()))
        Collection.objects.create(name="shelf")
        for name in "gh":
            Group.objects.create(name=name)
        states, batches = [snapshot()], []
        for step, what, names in steps:
            if step == "edit":
                kind, wanted = what
                edit = bulk_edits.request(
                    Operation.read(kind, **wanted),
                    Selection(ids=tuple(names)),
                    by=admin_user,
                    atomic=False,
                )
            elif batches:
                edit = _take_back_an_old_one(batches[what % len(batches)], admin_user)
            else:
                continue
            if edit.changed:
                batches.append(edit.batch)
                states.append(snapshot())
        while batches:
            batch = batches.pop()
            assert states.pop() == snapshot()
            assert bulk_edits.undo_batch(batch, by=admin_user).skipped == 0
            assert snapshot() == states[-1]
        transaction.set_rollback(True)


def _take_back_an_old_one(batch: UUID, by: User) -> Any:
    """Values whose last change is another one than that of ``batch`` stay as they are."""
    own = {(row.model_id, row.field): row.pk for row in MetadataChange.objects.filter(batch=batch)}
    later = [
        key
        for key, pk in own.items()
        if MetadataChange.objects.filter(
            model=key[0], field=key[1], pk__gt=pk, undoes=None
        ).exists()
    ]
    later = [
        key
        for key in later
        if not MetadataChange.objects.filter(model=key[0], field=key[1], pk__gt=own[key])
        .exclude(undoes=None)
        .exists()
    ]
    before = {(model, field): _value(model, field) for model, field in later}
    edit = bulk_edits.undo_batch(batch, by=by)
    assert {(model, field): _value(model, field) for model, field in later} == before
    return edit


def _value(key: int, field: str) -> Any:
    model = RegisteredModel.objects.get(pk=key)
    return metadata.decided(model, field, metadata.standing_links({model: [field]}))
