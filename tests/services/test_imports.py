"""Export, edit, import: exactly what was edited changes, what is wrong is told with its row and
field, and nothing is half applied.
"""

from __future__ import annotations

import csv
import gc
import io
import json
import tracemalloc
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from discovery.models import MetadataChange, RegisteredModel
from discovery.services.metadata import metadata
from discovery.services.registry.records import resolve
from discovery.services.transfer import batches, exports, importer
from discovery.services.transfer.cells import FIELDS
from discovery.services.transfer.export_formats import FORMATS as KINDS
from discovery.services.transfer.import_parsing import UnreadableFile
from tests.support.awkward import awkward

Make = Callable[..., RegisteredModel]
Edit = Callable[[dict[str, Any]], None]


def exported(form: str) -> bytes:
    return "".join(KINDS[form].write(RegisteredModel.objects.order_by("name", "pk"))).encode()


def edited(form: str, edit: Edit) -> bytes:
    """The export as somebody gives it back who changed what ``edit`` changes, a row at a time."""
    text = exported(form).decode()
    if form == "json":
        documents = json.loads(text)
        for document in documents:
            edit(document)
        return json.dumps(documents, indent=1).encode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, list(exports.COLUMNS), quoting=csv.QUOTE_ALL)
    writer.writeheader()
    for row in rows:
        edit(row)
        writer.writerow(row)
    return stream.getvalue().encode()


def state() -> list[tuple[Any, ...]]:
    return list(
        RegisteredModel.objects.order_by("pk").values_list(
            "model_id", "curated", "visibility", "license", "parameter_count"
        )
    )


@pytest.fixture
def shelf(make_model: Make, user: User) -> None:
    make_model(
        "alpha",
        license="mit",
        tags=["a", "b; c"],
        parameter_count=7_241_732_096,
        description="=cmd()|' /C calc'!A0",
    )
    make_model(
        "beta",
        author="-5",
        extracted={"custom": {"x": 1.0, "y": [None, "ü"]}, "capabilities": ["CHAT"]},
    )
    beta = RegisteredModel.objects.get(name="beta")
    metadata.edit(
        beta,
        {"license": "apache-2.0", "tags": ["=1"], "custom": {"deep": {"a": "b\nc"}}},
        by=user,
        channel="page",
    )
    make_model("gamma")


FORMATS = pytest.mark.parametrize("form", ["json", "csv"])


@FORMATS
def test_an_unchanged_export_changes_nothing(form: str, shelf: None) -> None:
    before = state()
    report = importer.apply(io.BytesIO(edited(form, lambda _row: None)), by=None)
    assert (report.rows, report.changed, report.wrong, report.batch) == (3, 0, 0, None)
    assert state() == before


@FORMATS
def test_one_edited_value_is_the_only_change(form: str, shelf: None, user: User) -> None:
    def edit(row: dict[str, Any]) -> None:
        if row["model_id"] == "alpha":
            row["license"] = "bsd-3-clause"

    before = state()
    report = importer.apply(io.BytesIO(edited(form, edit)), by=user)
    assert (report.changed, report.fields, report.unchanged) == (1, 1, 2)
    after = state()
    assert after[1:] == before[1:]
    alpha = RegisteredModel.objects.get(model_id="alpha")
    assert {name: entry["value"] for name, entry in alpha.curated.items()} == {
        "license": "bsd-3-clause"
    }
    change = MetadataChange.objects.get(batch=report.batch)
    assert (change.field, change.channel, change.by, change.before, change.after) == (
        "license",
        "import",
        user,
        None,
        "bsd-3-clause",
    )


@FORMATS
def test_a_value_that_a_scan_has_changed_since_the_export_is_not_pinned(
    form: str, shelf: None
) -> None:
    def edit(row: dict[str, Any]) -> None:
        if row["model_id"] == "alpha":
            row["author"] = "Somebody"

    file = edited(form, edit)
    alpha = RegisteredModel.objects.get(model_id="alpha")
    alpha.extracted["license"] = {"value": "gpl-3.0", "source": "README.md"}
    resolve(alpha)
    alpha.save()
    importer.apply(io.BytesIO(file), by=None)
    alpha.refresh_from_db()
    assert set(alpha.curated) == {"author"}
    assert alpha.license == "gpl-3.0"
    assert alpha.curated["author"]["by"] == "import"


@FORMATS
def test_an_emptied_value_goes_back_to_automatic(form: str, shelf: None, user: User) -> None:
    def edit(row: dict[str, Any]) -> None:
        row["license"] = None
        row["tags"] = [] if form == "json" else ""
        row["visibility"] = ""

    report = importer.check(io.BytesIO(edited(form, edit)))
    assert [
        (effect.model_id, [(c.field, c.before, c.after, c.automatic) for c in effect.changes])
        for effect in report.effects
    ] == [("beta", [("license", "apache-2.0", None, True), ("tags", ["=1"], None, True)])]
    importer.apply(io.BytesIO(edited(form, edit)), by=user)
    beta = RegisteredModel.objects.get(model_id="beta")
    assert set(beta.curated) == {"custom"}


def test_only_what_a_hand_written_file_names_is_touched(shelf: None, user: User) -> None:
    report = importer.apply(
        io.BytesIO("﻿model_id;tags;primary;visibility\r\ngamma;x;LANGUAGE;PUBLIC\r\n".encode()),
        by=user,
    )
    assert report.changed == 1
    gamma = RegisteredModel.objects.get(model_id="gamma")
    assert (gamma.value("tags"), gamma.primary, gamma.visibility) == (["x"], "LANGUAGE", "PUBLIC")
    importer.apply(
        io.BytesIO(b'{"model_id": "gamma", "category": {"primary": null}, "context_length": 77}'),
        by=user,
    )
    gamma.refresh_from_db()
    assert (gamma.primary, gamma.context_length, gamma.value("tags")) == (None, 77, ["x"])


def wrong(content: bytes) -> list[tuple[int, str, str]]:
    """(row, field, message) of each error, checked to be all or nothing."""
    before = state()
    report = importer.apply(io.BytesIO(content), by=None)
    assert report.batch is None
    assert state() == before
    return [(fault.number, name, text) for fault in report.faults for name, text in fault.errors]


@pytest.mark.parametrize(
    ("rows", "number", "field", "why"),
    [
        ("alpha,mit,a,1\nnobody,mit,a,1", 3, "model_id", "no such model"),
        ("alpha,mit,a,1\nalpha,gpl,a,1", 3, "model_id", "row 2 already"),
        ("alpha,gpl,a,many", 2, "context_length", "whole number"),
        ("alpha,gpl,a,1\nbeta," + "x" * 300 + ",a,1", 3, "license", "at most 200"),
        ("alpha,gpl," + "x" * 10_000 + ",1", 2, "tags", "10,000 characters"),
        ("alpha,gpl,[1],1", 2, "tags", "list of texts"),
        ("alpha,gpl\0,a,1", 2, "license", "cannot be stored"),
        ("alpha,gpl,a", 2, "", "cut off"),
        ("alpha,gpl,a,1,extra", 2, "", "has 5 cells"),
        (",gpl,a,1", 2, "model_id", "is missing"),
        ("al\0pha,gpl,a,1", 2, "model_id", "no such model"),
        ("alpha,gpl,a,99999999999999999999", 2, "context_length", "whole number"),
    ],
)
def test_an_error_in_a_table_has_its_row_and_field(
    rows: str, number: int, field: str, why: str, shelf: None
) -> None:
    found = wrong(f"model_id,license,tags,context_length\n{rows}\n".encode())
    assert [(row, name) for row, name, _ in found] == [(number, field)]
    assert why in found[0][2]


@pytest.mark.parametrize(
    ("item", "field", "why"),
    [
        ('{"model_id": "alpha", "license": ["mit"]}', "license", "a text"),
        ('{"model_id": "alpha", "tags": "chat"}', "tags", "a list of texts"),
        ('{"model_id": "alpha", "description": "\\ud800"}', "description", "cannot be stored"),
        ('{"model_id": "\\ud800"}', "model_id", "no such model"),
        ('{"model_id": 5}', "model_id", "is missing"),
        ('{"model_id": "alpha", "custom": {"n": 18446744073709551616}}', "custom", "64 bits"),
        ('{"model_id": "alpha", "custom": {"n": NaN}}', "custom", "finite"),
        (
            '{"model_id": "alpha", "custom": ' + '{"a":' * 100 + "1" + "}" * 100 + "}",
            "custom",
            "nested",
        ),
        ('{"model_id": "alpha", "licence": "mit"}', "licence", "not a field"),
        ('{"model_id": "alpha", "category": "CHAT"}', "category", "an object"),
        ('{"model_id": "alpha", "category": {"primary": "SMELL"}}', "primary", "one of"),
        ("5", "", "not an object"),
    ],
)
def test_an_error_in_a_list_has_its_item_and_field(
    item: str, field: str, why: str, shelf: None
) -> None:
    found = wrong(f'[{{"model_id": "gamma", "author": "A"}}, {item}]'.encode())
    assert (2, field) in [(row, name) for row, name, _ in found]
    assert any(why in text for _, _, text in found)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"  \n ", "empty"),
        ("model_id,license\nalpha,größe".encode("latin-1"), "not UTF-8"),
        ("model_id,license\nalpha,mit".encode("utf-16"), "UTF-16"),
        (b"name,license\nalpha,mit", "model_id among them"),
        (b"model_id,licence\nalpha,mit", "Did you mean license"),
        (b"model_id,nonsense column\nalpha,mit", "no field for the column"),
        (b"model_id,license,license\nalpha,mit,mit", "twice"),
        (b"PK\x03\x04\x00\x00", "must name the columns"),
        (b'[{"model_id": "alpha"', "not complete JSON"),
        (b'[{"model_id": "alpha"}', "ends too early"),
        (b'[{"model_id": "alpha"},', "ends too early"),
        (b'[{"model_id": "alpha"} {"model_id": "beta"}]', "item 1 is followed"),
        (b'[{"model_id": "alpha"}] x', "text follows"),
        (b'[{"model_id": "alpha", "custom": ' + b"[" * 100_000, "nested too deep"),
        (b'[{"model_id": "alpha", "license": "\xff"}]', "not UTF-8"),
    ],
)
def test_a_file_that_is_neither_table_nor_list_is_refused_with_the_reason(
    content: bytes, why: str, shelf: None
) -> None:
    with pytest.raises(UnreadableFile, match=why):
        importer.apply(io.BytesIO(content), by=None)
    assert not MetadataChange.objects.filter(channel="import").exists()


def test_with_errors_left_out_the_other_rows_are_imported_in_one_batch(
    shelf: None, user: User
) -> None:
    content = b"model_id,author\nalpha,A\nnobody,B\nbeta,C\n"
    report = importer.apply(io.BytesIO(content), by=user, skip_errors=True)
    assert (report.changed, report.wrong) == (2, 1)
    assert set(
        MetadataChange.objects.filter(batch=report.batch).values_list("model__model_id", flat=True)
    ) == {"alpha", "beta"}


def test_a_model_that_became_wrong_between_check_and_writing_takes_all_back(
    shelf: None, user: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importer, "BATCH", 1)
    real = metadata.edit_many

    def forgetting(changes: Any, **options: Any) -> Any:
        RegisteredModel.objects.filter(model_id="beta").delete()
        return real(changes, **options)

    monkeypatch.setattr(metadata, "edit_many", forgetting)
    report = importer.apply(io.BytesIO(b"model_id,author\nalpha,A\nbeta,B\n"), by=user)
    assert report.batch is None
    assert RegisteredModel.objects.get(model_id="alpha").curated == {}


def test_a_model_in_quarantine_does_not_change_its_visibility(shelf: None) -> None:
    RegisteredModel.objects.filter(model_id="gamma").update(
        quarantined_at="2026-01-01T00:00Z", visibility="ADMIN_ONLY"
    )
    assert wrong(b"model_id,visibility\ngamma,PUBLIC\n") == [
        (
            2,
            "visibility",
            "the model is in quarantine: lift the quarantine on its Health page first",
        )
    ]


def test_checking_asks_the_database_once_for_many_rows(shelf: None) -> None:
    content = b"model_id,author\n" + b"".join(b"m%d,A\n" % n for n in range(200))
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert importer.check(io.BytesIO(content)).wrong == 200
    assert len(queries) == 1


@pytest.mark.slow
@FORMATS
def test_exporting_takes_a_fixed_number_of_queries_a_batch_and_little_memory(
    form: str, make_model: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = make_model("m0", description="x" * 2_000)
    for n in range(1, 300):
        template.pk, template.model_id, template.path = None, f"m{n}", f"m{n}"
        template.save(force_insert=True)
    monkeypatch.setattr(batches, "BATCH", 25)
    with CaptureQueriesContext(connection) as queries:
        assert (
            sum(map(len, KINDS[form].write(RegisteredModel.objects.order_by("pk")))) > 300 * 2_000
        )
    assert len(queries) <= 1 + 12 * 2
    assert peak(form, 300) < 1.3 * peak(form, 75)


def peak(form: str, count: int) -> int:
    """The most memory that exporting the first ``count`` models takes, in bytes."""
    rows = RegisteredModel.objects.filter(
        pk__in=list(RegisteredModel.objects.order_by("pk").values_list("pk", flat=True)[:count])
    )
    tracemalloc.start()
    for _piece in KINDS[form].write(rows.order_by("pk")):
        gc.collect()  # what is garbage is not held
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def test_a_table_cannot_run_in_a_spreadsheet(shelf: None) -> None:
    for row in csv.reader(io.StringIO(exported("csv").decode(), newline="")):
        assert not [cell for cell in row if cell[:1] in ("=", "+", "-", "@", "\t", "\r")]


@FORMATS
@pytest.mark.parametrize("seed", range(6))
def test_an_export_without_its_stamps_gives_everything_back_that_was_lost(
    form: str, seed: int, make_model: Make, user: User
) -> None:
    chance = Random(seed)
    for name in ("one", "two"):
        metadata.edit(
            make_model(name, license="mit", tags=["read"]), awkward(chance), by=user, channel="page"
        )
    before = {
        model.model_id: (values_of(model), model.visibility)
        for model in RegisteredModel.objects.all()
    }
    assert importer.check(io.BytesIO(edited(form, lambda _row: None))).unchanged == 2

    def unstamped(row: dict[str, Any]) -> None:
        row.pop("stamps")

    file = edited(form, unstamped) if form == "json" else without_column(exported("csv"), "stamps")
    for model in RegisteredModel.objects.all():
        metadata.edit(model, dict.fromkeys(model.curated), by=user, channel="page")
    report = importer.apply(io.BytesIO(file), by=user)
    assert report.faults == []
    assert {
        model.model_id: (values_of(model), model.visibility)
        for model in RegisteredModel.objects.all()
    } == before


def values_of(model: RegisteredModel) -> dict[str, Any]:
    return {name: model.value(name) for name in FIELDS if name != "visibility"}


def without_column(table: bytes, name: str) -> bytes:
    rows = list(csv.DictReader(io.StringIO(table.decode(), newline="")))
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(
        stream, [column for column in rows[0] if column != name], extrasaction="ignore"
    )
    writer.writeheader()
    writer.writerows(rows)
    return stream.getvalue().encode()
