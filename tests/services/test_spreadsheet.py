"""Cells hold values exactly, and no spreadsheet runs them."""

from __future__ import annotations

import csv
import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.services.transfer import cells

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


@given(words)
def test_texts_survive_and_never_begin_like_a_formula(text: str) -> None:
    cell = cells.cell("description", text)
    assert cell[0] not in "=+-@\t\r＝＋－＠"
    assert cells.value("description", through_csv(cell)) == text


@given(st.lists(words, max_size=4))
def test_lists_survive_whatever_their_entries_hold(items: list[str]) -> None:
    cell = cells.cell("tags", items)
    assert cell[:1] not in ("=", "+", "-", "@", "\t")
    assert (cells.value("tags", through_csv(cell)) or []) == items


scalars = (
    st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | words
)
json_values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3))


@given(st.dictionaries(words, json_values, min_size=1, max_size=4))
def test_objects_survive(value: dict[str, Any]) -> None:
    assert cells.value("custom", through_csv(cells.cell("custom", value))) == value


@pytest.mark.parametrize(
    ("field", "cell", "value"),
    [
        ("tags", " a;b ; ;c", ["a", "b", "c"]),
        ("tags", '["a; b"]', ["a; b"]),
        ("tags", '"a; b"; c', ["a; b", "c"]),
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
    assert cells.value(field, cell) == value


@pytest.mark.parametrize(
    ("field", "cell", "why"),
    [
        ("parameter_count", "7.24E+09", "all its digits"),
        ("parameter_count", "7,24", "whole number"),
        ("context_length", "-5", "whole number"),
        ("custom", "[1]", "an object"),
        ("custom", "{a: 1}", "not JSON"),
        ("tags", '["a", ', "not JSON"),
        ("custom", '{"a":' * 100_000, "nested too deep"),
    ],
)
def test_cells_that_say_nothing_sure_are_refused_with_the_reason(
    field: str, cell: str, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        cells.value(field, cell)


def test_stamps_are_read_as_written_and_a_cut_one_is_noticed() -> None:
    stamps = cells.stamps({"license": "mit", "tags": ["a"], "author": None, "custom": {}})
    assert set(stamps) == {"license", "tags"}
    written = cells.stamps_cell(stamps)
    assert cells.read_stamps(written) == stamps
    with pytest.raises(ValueError, match="as it was exported"):
        cells.read_stamps(written[:-1])


def test_a_list_of_an_export_that_knew_no_quotes_is_untouched() -> None:
    items = ["Chat, code", '"quoted" words']
    cell = "; ".join(items)
    assert cells.value("use_cases", cell, cells.stamp(items)) == items
    assert cells.value("use_cases", "Chat, code; more", cells.stamp(items)) == [
        "Chat",
        "code",
        "more",
    ]
