"""Many models are changed at once: what would happen is shown before, and what happened is whole,
counted, and can be gone on with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django_q.brokers import Broker

from discovery import tasks
from discovery.models import BulkEdit, Collection, LogEntry, MetadataChange, RegisteredModel
from discovery.services import jobs
from discovery.services.bulk import bulk_edits
from discovery.services.bulk.operations import NothingToDo, Operation
from discovery.services.bulk.selections import Selection, preview
from discovery.services.findings import triage
from discovery.services.metadata import metadata, undo

Make = Callable[..., RegisteredModel]

State = BulkEdit.State
ALL = Selection(query="")


@pytest.fixture
def three(make_model: Make, admin_user: User) -> list[RegisteredModel]:
    models = [
        make_model("a", license="mit", tags=["x", "y"]),
        make_model("b", license="apache-2.0"),
        make_model("c"),
    ]
    metadata.edit(
        models[1],
        {"tags": ["z"], "custom": {"team": "blue", "cost": 3}},
        by=admin_user,
        channel="page",
    )
    return models


def shown(name: str) -> list[Any]:
    return [model.value(name) for model in RegisteredModel.objects.order_by("name")]


def tag(*names: str) -> Operation:
    return Operation.read("tags", add={"tags": names})


def many(make_model: Make, count: int) -> None:
    """``count`` models, quickly."""
    first = make_model("m0000", tags=["old"])
    RegisteredModel.objects.bulk_create(_like(first, number) for number in range(1, count))


def _like(model: RegisteredModel, number: int) -> RegisteredModel:
    values = {
        field.attname: getattr(model, field.attname)
        for field in RegisteredModel._meta.concrete_fields
    }
    name = f"m{number:04}"
    return RegisteredModel(**{**values, "id": None, "model_id": name, "name": name, "path": name})


@pytest.mark.parametrize(
    ("operation", "field", "after"),
    [
        (
            lambda: Operation.read("metadata", values={"license": "mit"}),
            "license",
            ["mit", "mit", "mit"],
        ),
        (
            lambda: Operation.read("metadata", values={"tags": None}),
            "tags",
            [["x", "y"], None, None],
        ),
        (
            lambda: Operation.read("metadata", values={"custom": {"team": "red", "cost": None}}),
            "custom",
            [{"team": "red"}] * 3,
        ),
        (
            lambda: Operation.read("tags", add={"tags": ["y", "n"]}),
            "tags",
            [["x", "y", "n"], ["z", "y", "n"], ["y", "n"]],
        ),
        (lambda: Operation.read("tags", remove={"tags": ["x", "z"]}), "tags", [["y"], [], None]),
        (
            lambda: Operation.read("tags", add={"tags": ["n"]}, remove={"tags": ["x"]}),
            "tags",
            [["y", "n"], ["z", "n"], ["n"]],
        ),
        (lambda: Operation.read("tags", values={"tags": ["only"]}), "tags", [["only"]] * 3),
        (lambda: Operation.read("tags", values={"tags": []}), "tags", [[]] * 3),
        (
            lambda: Operation.read("category", values={"primary": "AUDIO", "secondary": None}),
            "primary",
            ["AUDIO"] * 3,
        ),
    ],
)
def test_each_operation_does_to_every_model_what_its_preview_says(
    operation: Callable[[], Operation],
    field: str,
    after: list[Any],
    three: list[RegisteredModel],
    admin_user: User,
) -> None:
    asked = operation()
    foreseen = preview(asked, ALL, admin_user)
    assert MetadataChange.objects.filter(channel="page").count() == 2, "a preview writes nothing"
    edit = bulk_edits.request(asked, ALL, by=admin_user)
    assert shown(field) == after
    assert (edit.state, edit.total, edit.done, edit.changed) == (
        State.DONE,
        3,
        3,
        foreseen.changing,
    )
    assert foreseen.same == 3 - foreseen.changing
    written = MetadataChange.objects.filter(batch=edit.batch)
    assert written.filter(field=field).count() == foreseen.effects[field].models
    told = set(written.filter(field=field).values_list("model__model_id", flat=True))
    assert {example.model_id for example in foreseen.effects[field].examples} == told


def test_visibility_groups_and_collections_are_changed_together(
    three: list[RegisteredModel], admin_user: User
) -> None:
    for name in ("staff", "readers"):
        Group.objects.create(name=name).models.add(three[0])
    Collection.objects.create(name="shelf").models.add(three[1])
    bulk_edits.request(
        Operation.read(
            "visibility",
            values={"visibility": "PUBLIC"},
            add={"groups": ["staff"]},
            remove={"groups": ["readers"]},
        ),
        ALL,
        by=admin_user,
    )
    bulk_edits.request(
        Operation.read("collection", add={"collections": ["shelf"]}), ALL, by=admin_user
    )
    for model in RegisteredModel.objects.all():
        assert model.visibility == "PUBLIC"
        assert list(model.groups.values_list("name", flat=True)) == ["staff"]
        assert list(model.collections.values_list("name", flat=True)) == ["shelf"]
    assert MetadataChange.objects.filter(field="collections").count() == 2


def test_the_preview_shows_values_and_where_they_are_from(
    three: list[RegisteredModel], admin_user: User
) -> None:
    metadata.edit(three[2], {"license": "gpl-3.0"}, by=admin_user, channel="page")
    given = preview(Operation.read("metadata", values={"license": "mit"}), ALL, admin_user)
    assert [(each.before, each.after,
            each.source) for each in given.effects["license"].examples] == [
        ("mit", "mit", "config.json"), ("apache-2.0", "mit", "config.json"),
        ("gpl-3.0", "mit", "edited by admin"),
    ]  # fmt: skip
    back = preview(Operation.read("metadata", values={"license": None}), ALL, admin_user)
    assert (back.changing, back.same) == (1, 2)
    assert [(each.before, each.after) for each in back.effects["license"].examples] == [
        ("gpl-3.0", None)
    ]


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("metadata", {}),
        ("tags", {"add": {"tags": []}}),
        ("visibility", {"values": {}}),
    ],
)
def test_an_operation_that_asks_for_nothing_is_refused(kind: str, wanted: dict[str, Any]) -> None:
    with pytest.raises(NothingToDo):
        Operation.read(kind, **wanted)


@pytest.mark.parametrize(
    ("kind", "wanted", "field"),
    [
        ("metadata", {"values": {"license": ["mit"]}}, "license"),
        ("metadata", {"values": {"status": "READY"}}, "status"),
        ("tags", {"add": {"tags": ["x" * 10_000]}}, "tags"),
        ("tags", {"add": {"tags": ["nul\0"]}}, "tags"),
        ("tags", {"add": {"tags": ["half \ud800"]}}, "tags"),
        ("tags", {"add": {"tags": ["a"]}, "remove": {"tags": ["a"]}}, "tags"),
        ("collection", {"add": {"collections": ["nobody"]}}, "collections"),
        ("metadata", {"add": {"license": ["mit"]}}, "license"),
        ("metadata", {"values": {"custom": {"n": 1 << 70}}}, "custom"),
    ],
)
def test_a_wrong_value_is_refused_before_any_model_is_looked_at(
    db: None, kind: str, wanted: dict[str, Any], field: str
) -> None:
    with pytest.raises(metadata.InvalidMetadata) as caught:
        Operation.read(kind, **wanted)
    assert set(caught.value.errors) == {field}


def test_a_kind_that_does_not_exist_is_refused() -> None:
    with pytest.raises(LookupError):
        Operation.read("delete")


@pytest.mark.parametrize(
    "selection", [Selection(), Selection(ids=("nobody", "a\0")), Selection(query="q=nothing")]
)
def test_a_selection_without_models_is_refused(
    selection: Selection, three: list[RegisteredModel], admin_user: User
) -> None:
    with pytest.raises(bulk_edits.EmptySelection):
        bulk_edits.request(tag("t"), selection, by=admin_user)


def test_all_or_nothing_changes_nothing_when_one_model_cannot_be_changed(
    three: list[RegisteredModel], admin_user: User
) -> None:
    triage.quarantine(three[1], by=admin_user)
    asked = Operation.read("visibility", values={"visibility": "PUBLIC"})
    foreseen = preview(asked, ALL, admin_user)
    assert (foreseen.changing, foreseen.faulty, foreseen.faults[0].model_id) == (2, 1, "b")
    with pytest.raises(bulk_edits.EditRefused, match="quarantine"):
        bulk_edits.request(asked, ALL, by=admin_user)
    assert not BulkEdit.objects.exists()
    assert set(RegisteredModel.objects.values_list("visibility", flat=True)) == {
        "RESTRICTED",
        "ADMIN_ONLY",
    }


def test_model_by_model_leaves_out_what_cannot_be_changed_and_names_it(
    three: list[RegisteredModel], admin_user: User
) -> None:
    metadata.edit(
        three[0], {"tags": [f"t{number}" for number in range(200)]}, by=admin_user, channel="page"
    )
    edit = bulk_edits.request(tag("one more"), ALL, by=admin_user, atomic=False)
    assert (edit.changed, edit.skipped) == (2, 1)
    assert [(each["model_id"], "at most 200" in each["reason"]) for each in edit.reasons] == [
        ("a", True)
    ]
    assert bulk_edits.in_words(edit) == "2 models changed, 1 left as they are"


def test_what_a_filter_finds_is_settled_when_the_edit_is_asked_for(
    three: list[RegisteredModel], admin_user: User
) -> None:
    metadata.edit(three[0], {"tags": ["old"]}, by=admin_user, channel="page")
    edit = bulk_edits.request(
        Operation.read("tags", remove={"tags": ["old"]}), Selection(query="tag=old"), by=admin_user
    )
    assert (edit.total, edit.changed, shown("tags")[0]) == (1, 1, [])
    assert edit.selection == {"query": "tag=old", "keys": [three[0].pk]}


def test_many_models_are_left_to_a_worker(
    make_model: Make, admin_user: User, task_queue: Broker
) -> None:
    many(make_model, bulk_edits.AT_ONCE + 1)
    edit = bulk_edits.request(tag("new"), ALL, by=admin_user)
    assert (edit.state, edit.done, task_queue.queue_size()) == (State.QUEUED, 0, 1)
    assert tasks.run_bulk_edit(edit.pk) == "done"
    edit.refresh_from_db()
    assert (edit.done, edit.changed) == (201, 201)
    assert all(tags == ["old", "new"] for tags in shown("tags"))
    assert tasks.run_bulk_edit(edit.pk) == "done", (
        "an edit runs once, however often it is dispatched"
    )
    assert tasks.run_bulk_edit(0) == "forgotten"
    assert MetadataChange.objects.filter(batch=edit.batch).count() == 201
    assert LogEntry.objects.filter(topic="metadata").count() == 1


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk_edits, "AT_ONCE", 0)

    def chunks(keys: Any, size: int = 2) -> Iterator[Any]:
        for start in range(0, len(keys), 2):
            yield keys[start : start + 2]

    monkeypatch.setattr(bulk_edits, "chunks", chunks)


@pytest.fixture
def dying(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """``dying(n)``: the process is killed before batch ``n`` is written."""
    real, count = bulk_edits._change, 0

    def set_up(at: int) -> None:
        def change(edit: BulkEdit, chunk: Any) -> None:
            nonlocal count
            count += 1
            if count == at:
                raise SystemExit("killed")
            real(edit, chunk)

        monkeypatch.setattr(bulk_edits, "_change", change)

    return set_up


def test_after_a_killed_worker_the_next_one_goes_on_behind_the_whole_batches(
    make_model: Make,
    admin_user: User,
    task_queue: Broker,
    small_batches: None,
    dying: Callable[[int], None],
) -> None:
    many(make_model, 5)
    edit = bulk_edits.request(tag("new"), ALL, by=admin_user)
    dying(2)
    with pytest.raises(SystemExit):
        bulk_edits.execute(edit)
    edit.refresh_from_db()
    assert (edit.state, edit.done) == (State.RUNNING, 2)
    assert jobs.reap_all() == 0, "it was heard of just now"
    BulkEdit.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=5))
    task_queue.purge_queue()
    assert jobs.housekeep() == {"reaped": 1, "resumed": 1, "dispatched": 1}
    edit.refresh_from_db()
    assert (edit.state, edit.done) == (State.QUEUED, 2)
    assert tasks.run_bulk_edit(edit.pk) == "done"
    edit.refresh_from_db()
    assert (edit.done, edit.changed) == (5, 5)
    assert MetadataChange.objects.filter(batch=edit.batch).count() == 5
    assert all(tags == ["old", "new"] for tags in shown("tags"))


def test_a_stopped_edit_keeps_whole_batches_and_can_be_gone_on_with(
    make_model: Make,
    admin_user: User,
    task_queue: Broker,
    small_batches: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    many(make_model, 5)
    edit = bulk_edits.request(tag("new"), ALL, by=admin_user)
    real = bulk_edits._change

    def stop_after_the_first(edit: BulkEdit, chunk: Any) -> None:
        real(edit, chunk)
        assert bulk_edits.cancel(edit)

    monkeypatch.setattr(bulk_edits, "_change", stop_after_the_first)
    edit = bulk_edits.execute(edit)
    assert (edit.state, edit.done, edit.changed) == (State.CANCELLED, 2, 2)
    monkeypatch.setattr(bulk_edits, "_change", real)
    assert bulk_edits.resume(edit)
    assert tasks.run_bulk_edit(edit.pk) == "done"
    assert not bulk_edits.resume(edit)
    assert not bulk_edits.cancel(edit)
    assert all(tags == ["old", "new"] for tags in shown("tags"))


def test_a_queued_edit_is_stopped_before_it_begins(
    make_model: Make, admin_user: User, task_queue: Broker, small_batches: None
) -> None:
    many(make_model, 3)
    edit = bulk_edits.request(tag("new"), ALL, by=admin_user)
    assert bulk_edits.cancel(edit)
    assert tasks.run_bulk_edit(edit.pk) == "cancelled"
    assert shown("tags") == [["old"]] * 3


def test_a_run_that_was_taken_for_dead_writes_nothing_more(
    make_model: Make,
    admin_user: User,
    task_queue: Broker,
    small_batches: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    many(make_model, 5)
    edit = bulk_edits.request(tag("new"), ALL, by=admin_user)
    real = bulk_edits._change

    def slow(edit: BulkEdit, chunk: Any) -> None:
        real(edit, chunk)
        BulkEdit.objects.update(state=State.INTERRUPTED)

    monkeypatch.setattr(bulk_edits, "_change", slow)
    edit = bulk_edits.execute(edit)
    assert (edit.state, edit.done) == (State.INTERRUPTED, 2)
    assert MetadataChange.objects.filter(batch=edit.batch).count() == 2


def test_all_or_nothing_looks_at_every_model_before_the_first_batch_is_written(
    make_model: Make, admin_user: User, task_queue: Broker, small_batches: None
) -> None:
    many(make_model, 5)
    triage.quarantine(RegisteredModel.objects.get(model_id="m0004"), by=admin_user)
    edit = bulk_edits.request(
        Operation.read("visibility", values={"visibility": "PUBLIC"}), ALL, by=admin_user
    )
    edit = bulk_edits.execute(edit)
    assert (edit.state, edit.done, edit.changed, edit.skipped) == (State.FAILED, 0, 0, 1)
    assert "Nothing was changed" in edit.message
    assert not RegisteredModel.objects.filter(visibility="PUBLIC").exists()


def test_all_or_nothing_takes_back_its_batches_when_a_model_becomes_impossible_meanwhile(
    make_model: Make,
    admin_user: User,
    task_queue: Broker,
    small_batches: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    many(make_model, 5)
    edit = bulk_edits.request(
        Operation.read("visibility", values={"visibility": "PUBLIC"}), ALL, by=admin_user
    )
    real = bulk_edits._change

    def meanwhile(edit: BulkEdit, chunk: Any) -> None:
        real(edit, chunk)
        triage.quarantine(RegisteredModel.objects.get(model_id="m0004"), by=admin_user)

    monkeypatch.setattr(bulk_edits, "_change", meanwhile)
    edit = bulk_edits.execute(edit)
    assert edit.state == State.FAILED
    assert set(
        RegisteredModel.objects.exclude(model_id="m0004").values_list("visibility", flat=True)
    ) == {"RESTRICTED"}


@pytest.mark.slow
def test_a_batch_needs_the_same_number_of_queries_whatever_its_models(
    make_model: Make, admin_user: User, task_queue: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(make_model, 1_500)
    Collection.objects.create(name="shelf")
    real = bulk_edits._change

    def counted(edit: BulkEdit, chunk: Any) -> None:
        with CaptureQueriesContext(connection) as queries:
            real(edit, chunk)
        counts.append((len(chunk), len(queries)))

    monkeypatch.setattr(bulk_edits, "_change", counted)
    for operation, most in (
        (tag("new"), 29),
        (Operation.read("collection", add={"collections": ["shelf"]}), 34),
        (Operation.read("metadata", values={"license": "mit"}), 25),
    ):
        edit = None
        for _ in ("do", "undo"):
            counts: list[tuple[int, int]] = []
            edit = bulk_edits.execute(
                bulk_edits.undo_batch(edit.batch, by=admin_user)
                if edit
                else bulk_edits.request(operation, ALL, by=admin_user)
            )
            assert (edit.state, edit.changed) == (State.DONE, 1_500)
            (_, first), second, third = counts  # the first may have to make the tag
            assert second == third
            assert second[1] <= first <= most


def test_validating_reads_each_model_again_and_counts(
    make_model: Make, admin_user: User, task_queue: Broker
) -> None:
    for name in ("gone-1", "gone-2"):
        make_model(name)
    edit = bulk_edits.request(Operation.read("validate"), ALL, by=admin_user)
    assert edit.state == State.QUEUED, "files are read by a worker"
    assert tasks.run_bulk_edit(edit.pk) == "done"
    edit.refresh_from_db()
    assert bulk_edits.in_words(edit) == "2 models read again, 2 with a failed check"
    with pytest.raises(bulk_edits.EmptySelection):
        bulk_edits.undo_batch(edit.batch, by=admin_user)


def test_an_edit_under_way_is_not_taken_back(
    make_model: Make, admin_user: User, task_queue: Broker, small_batches: None
) -> None:
    many(make_model, 3)
    edit = bulk_edits.request(tag("new"), ALL, by=admin_user)
    with pytest.raises(undo.NotUndoable, match="stop it first"):
        bulk_edits.undo_batch(edit.batch, by=admin_user)


def test_what_was_taken_back_is_not_gone_on_with_after_a_restart(
    make_model: Make,
    admin_user: User,
    task_queue: Broker,
    small_batches: None,
    dying: Callable[[int], None],
) -> None:
    many(make_model, 5)
    edit = bulk_edits.request(tag("new"), ALL, by=admin_user)
    dying(2)
    with pytest.raises(SystemExit):
        bulk_edits.execute(edit)
    BulkEdit.objects.update(heartbeat_at=timezone.now() - timedelta(minutes=5))
    jobs.reap_all()
    back = bulk_edits.execute(bulk_edits.undo_batch(edit.batch, by=admin_user))
    assert (back.state, back.changed) == (State.DONE, 2)
    assert jobs.housekeep() == {"reaped": 0, "resumed": 0, "dispatched": 0}
    assert shown("tags") == [["old"]] * 5
