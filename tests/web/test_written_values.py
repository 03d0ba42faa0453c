"""Numbers and lists are written the same way on the Metadata tab, in a bulk edit, a table and the
admin.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from django.http import QueryDict
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from discovery.admin.forms import PREFIX, RegisteredModelForm
from discovery.engine.core.fields import HOW, Kind
from discovery.models import RegisteredModel
from discovery.services.core import written
from discovery.services.transfer import cells
from discovery.web import bulk_form
from discovery.web.shared.fields import FIELDS
from discovery.web.shared.inputs import FieldsForm
from tests.support.page_text import page_text
from tests.support.timing import at_most

NAME = "context_length"
LIST = "use_cases"


def _tab(text: str, name: str = NAME) -> object:
    form = FieldsForm([FIELDS[name]], QueryDict(urlencode({name: text})))
    assert form.is_valid(), form.errors
    return form.cleaned_data[name]


def _bulk(text: str, name: str = NAME) -> object:
    form = bulk_form.read("metadata", QueryDict(urlencode({f"f-{name}": text})))
    return form.operation().values[name]


def _table(text: str, name: str = NAME) -> object:
    return cells.value(name, text)


def _admin(text: str, name: str = NAME) -> object:
    return RegisteredModelForm.base_fields[PREFIX + name].clean(text)


SURFACES = [_tab, _bulk, _table, _admin]
Read = Callable[..., object]


@pytest.mark.parametrize("read", SURFACES)
@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7000000", 7_000_000),
        ("7000000.0", 7_000_000),
        ("7 000 000", 7_000_000),
        ("7\u202f000\u202f000", 7_000_000),
        ("7,000,000", 7_000_000),
        ("7e9", 7_000_000_000),
        (" 8192 ", 8192),
    ],
)
def test_a_number_is_taken_alike_everywhere(
    read: Callable[[str], object], text: str, number: int
) -> None:
    assert read(text) == number


@pytest.mark.parametrize("read", SURFACES)
@pytest.mark.parametrize("text", ["0", "-5", "1.5", "7,0", "70,00", "many", "1e400", "٣"])
def test_what_is_no_whole_number_above_zero_is_refused_everywhere(
    read: Callable[[str], object], text: str
) -> None:
    with pytest.raises(Exception, match=r"(?i)must be a whole number"):
        read(text)


@pytest.mark.parametrize("read", SURFACES)
@pytest.mark.parametrize("text", ["7E+06", "7.24E+09"])
def test_a_number_that_a_spreadsheet_has_shortened_is_refused_everywhere(
    read: Callable[[str], object], text: str
) -> None:
    with pytest.raises(Exception, match=r"(?i)all its digits"):
        read(text)


@pytest.mark.parametrize("read", SURFACES)
@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("a, b", ["a", "b"]),
        ("a; b", ["a", "b"]),
        ("a\r\nb\n\n c ", ["a", "b", "c"]),
        ("a, b; c\nd,,;", ["a", "b", "c", "d"]),
        ('"Chat, code; more", other', ["Chat, code; more", "other"]),
        ('"say ""hi"", please"', ['say "hi", please']),
        ('a "quoted" word', ['a "quoted" word']),
        ('["a, b", "c"]', ["a, b", "c"]),
        ("[draft], final", ["[draft]", "final"]),
        ("  one  ", ["one"]),
    ],
)
def test_a_list_is_taken_alike_everywhere(read: Read, text: str, items: list[str]) -> None:
    assert read(text, LIST) == items


@pytest.mark.parametrize("read", SURFACES)
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('"Chat, code', "close the quotes"),
        ('a, "Chat" models', "close the quotes"),
        ('["a", ', "not JSON"),
        ("[" * 100_000, "nested too deep"),
    ],
)
def test_a_list_that_says_nothing_sure_is_refused_everywhere(
    read: Read, text: str, why: str
) -> None:
    with pytest.raises(Exception, match=why):
        read(text, LIST)


ITEMS = st.text(st.sampled_from("ab ,;\"[]'=\t"), max_size=6) | st.text(max_size=4)


@given(st.lists(ITEMS.filter(str.strip), max_size=4), st.sampled_from([", ", "; ", "\n"]))
def test_a_list_that_is_written_is_read_as_it_was(items: list[str], separator: str) -> None:
    assert written.entries(written.listed(items, separator)) == items


def test_hostile_quotes_cost_no_more_than_their_length() -> None:
    for text in ('"' * 400_000, '"""' * 100_000 + "x", '"",' * 100_000, '""",' * 100_000):
        with at_most(loops=20), contextlib.suppress(ValueError):
            written.entries(text)


@pytest.mark.parametrize("name", [name for name in FIELDS if FIELDS[name].kind == "list"])
def test_how_a_list_is_written_is_told_beside_it(
    name: str, make_model: Callable[..., RegisteredModel], admin_client: Client
) -> None:
    record = make_model("m")
    how = HOW[Kind.LIST]
    admin = admin_client.get(f"/admin/discovery/registeredmodel/{record.pk}/change/")
    assert how in RegisteredModelForm(instance=record).fields[PREFIX + name].help_text
    assert how in page_text(admin)
    assert how in page_text(admin_client.get(f"/models/m/metadata/{name}/"))
    if name == "tags":
        assert how in page_text(admin_client.post("/bulk/", {"kind": "tags", "id": "m"}))
    else:
        page = page_text(admin_client.post("/bulk/", {"kind": "metadata", "id": "m"}))
        assert how in page[page.index(f'id="f-{name}"') :][:600]
