"""A field is called the same wherever people meet it."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape

from django.http import QueryDict
from django.test import Client

from discovery.admin.forms import CURATED, PREFIX, RegisteredModelForm
from discovery.engine.identify.document import CATEGORIES, LISTS, OBJECTS, TEXTS_AND_NUMBERS
from discovery.models import RegisteredModel
from discovery.services.access.redaction import Sight
from discovery.services.metadata import metadata
from discovery.web import bulk_form
from discovery.web.shared import changes, field_values, fields
from discovery.words import FIELD_LABELS
from tests.support.page_text import page_text

Make = Callable[..., RegisteredModel]
ALL = (*TEXTS_AND_NUMBERS, *CATEGORIES, *LISTS, *OBJECTS)


def test_every_field_of_the_document_and_every_one_that_can_be_edited_has_a_label() -> None:
    assert {*ALL, *metadata.EDITABLE} - FIELD_LABELS.keys() == set()
    assert len(set(FIELD_LABELS.values())) == len(FIELD_LABELS)


def test_forms_call_fields_as_the_table_does() -> None:
    tab = {name: each.label for name, each in fields.FIELDS.items()}
    bulk = bulk_form.read("metadata", QueryDict()).entries
    admin = {name: str(RegisteredModelForm.base_fields[PREFIX + name].label) for name in CURATED}
    for surface in (tab, {name: each.field.label for name, each in bulk.items()}, admin):
        assert surface == {name: FIELD_LABELS[name] for name in surface}


def test_pages_call_fields_as_the_table_does(make_model: Make) -> None:
    values = {**dict.fromkeys(TEXTS_AND_NUMBERS, "1"), **dict.fromkeys(CATEGORIES, "GENERAL")}
    values |= {**{key: ["TEXT"] for key in LISTS}, **{key: {"a": "b"} for key in OBJECTS}}
    values |= {"parameter_count": 7, "active_parameter_count": 5, "bits_per_weight": 4.5}
    record = make_model("m", extracted=values)
    sight = Sight(None)
    told = [*field_values.facts(record, sight), *field_values.objects(record, sight)]
    assert {each.field: each.label for each in told} == {
        each.field: FIELD_LABELS[each.field] for each in told
    }
    assert len(told) > 25
    history = {name: changes.change_view(name, None, "x").label for name in FIELD_LABELS}
    assert history == FIELD_LABELS


def test_compare_and_the_filter_of_the_history_call_fields_as_the_table_does(
    make_model: Make, admin_client: Client
) -> None:
    for name in ("a", "b"):
        extracted = {"specialized_domains": ["law"], "active_parameter_count": 5}
        make_model(name, extracted=extracted)
    page = page_text(admin_client.get("/compare/?id=a&id=b"))
    for name in ("specialized_domains", "active_parameter_count", "visibility"):
        assert re.search(rf"<th[^>]*><bdi>{FIELD_LABELS[name]}</bdi>", page), name
    offered = dict(
        re.findall(
            r'<option value="(\w+)"[^>]*>([^<]+)</option>',
            unescape(page_text(admin_client.get("/history/"))),
        )
    )
    assert {name: offered.get(name) for name in metadata.EDITABLE} == {
        name: FIELD_LABELS[name] for name in metadata.EDITABLE
    }
