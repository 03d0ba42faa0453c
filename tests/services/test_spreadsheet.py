"""Cells hold values exactly, and no spreadsheet runs them."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.services import spreadsheet
from discovery.services.metadata import EDITABLE

texts = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
formulas = st.builds(
    lambda lead, sign, rest: lead + sign + rest,
    st.sampled_from(["", "'", "''"]),
    st.sampled_from("=+-@＝\t'[;"),
    texts,
)
words = (texts | formulas).map(str.strip).filter(bool)


def through_csv(cell: str) -> str:
    stream = io.StringIO(newline="")
    csv.writer(stream).writerow([cell, "end"])
    return next(csv.reader(io.StringIO(stream.getvalue(), newline="")))[0]


def test_every_field_that_can_be_set_has_a_column() -> None:
    assert set(spreadsheet.FIELDS) == EDITABLE | {"visibility"}
    assert len(spreadsheet.FIELDS) == len(set(spreadsheet.FIELDS))


@given(words)
def test_texts_survive_and_never_begin_like_a_formula(text: str) -> None:
    cell = spreadsheet.cell("description", text)
    assert cell[0] not in "=+-@\t\r＝＋－＠"
    assert spreadsheet.value("description", through_csv(cell)) == text


@given(st.lists(words, max_size=4))
def test_lists_survive_whatever_their_entries_hold(items: list[str]) -> None:
    cell = spreadsheet.cell("tags", items)
    assert cell[:1] not in ("=", "+", "-", "@", "\t")
    assert (spreadsheet.value("tags", through_csv(cell)) or []) == items


scalars = st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | words
json_values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3))


@given(st.dictionaries(words, json_values, min_size=1, max_size=4))
def test_objects_survive(value: dict[str, Any]) -> None:
    assert spreadsheet.value("custom", through_csv(spreadsheet.cell("custom", value))) == value


@pytest.mark.parametrize(
    ("field", "cell", "value"),
    [
        ("tags", " a;b ; ;c", ["a", "b", "c"]),
        ("tags", '["a; b"]', ["a; b"]),
        ("parameter_count", "7241732096", 7_241_732_096),
        ("parameter_count", "7241732096.0", 7_241_732_096),
        ("author", "'quoted'", "'quoted'"),
        ("author", "'=1+1", "=1+1"),
        ("author", "=1+1", "=1+1"),
        ("author", "   ", None),
        ("custom", "", None),
    ],
)
def test_cells_are_read_as_people_type_them(field: str, cell: str, value: Any) -> None:
    assert spreadsheet.value(field, cell) == value


@pytest.mark.parametrize(
    ("field", "cell", "why"),
    [
        ("parameter_count", "7.24E+09", "digits only"),
        ("parameter_count", "7,241", "digits only"),
        ("context_length", "-5", "whole number"),
        ("custom", "[1]", "an object"),
        ("custom", "{a: 1}", "no JSON"),
        ("tags", '["a", ', "no JSON"),
        ("custom", '{"a":' * 100_000, "nested too deep"),
    ],
)
def test_cells_that_say_nothing_sure_are_refused_with_the_reason(
    field: str, cell: str, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        spreadsheet.value(field, cell)


def test_stamps_are_read_as_written_and_a_cut_one_is_noticed() -> None:
    stamps = spreadsheet.stamps({"license": "mit", "tags": ["a"], "author": None, "custom": {}})
    assert set(stamps) == {"license", "tags"}
    written = spreadsheet.stamps_cell(stamps)
    assert spreadsheet.read_stamps(written) == stamps
    with pytest.raises(ValueError, match="as it was exported"):
        spreadsheet.read_stamps(written[:-1])
