"""Members of a JSON object are set in its own text; everything else stays byte for byte."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.engine.sidecars.json_edit import updated


@pytest.mark.parametrize(
    ("text", "changes", "expected"),
    [
        ("{}", {"a": 1}, '{\n  "a": 1\n}'),
        ("{}\n", {"a": ["x", "y"]}, '{\n  "a": ["x", "y"]\n}\n'),
        ('{"a": 1}', {"a": 2}, '{"a": 2}'),
        ('{"a":1,"b":2}', {"b": [1, 2], "c": "x"}, '{"a":1,"b":[1,2],"c":"x"}'),
        ('{"a": 1.50, "b": 1e5}', {"c": 1}, '{"a": 1.50, "b": 1e5, "c": 1}'),
        (
            '{\n    "z": 1.0,\n    "a": "old",\n    "odd":[1,  2]\n}\n',
            {"a": "new"},
            '{\n    "z": 1.0,\n    "a": "new",\n    "odd":[1,  2]\n}\n',
        ),
        (
            '{\n\t"a": {\n\t\t"x": 1\n\t}\n}',
            {"a": {"x": 2}, "b": {"y": [1]}},
            '{\n\t"a": {\n\t\t"x": 2\n\t},\n\t"b": {\n\t\t"y": [\n\t\t\t1\n\t\t]\n\t}\n}',
        ),
        ('{\r\n  "a": 1\r\n}', {"b": 2}, '{\r\n  "a": 1,\r\n  "b": 2\r\n}'),
        ('{\n  "a": [\n    1\n  ]\n}', {"a": ["ä"]}, '{\n  "a": [\n    "ä"\n  ]\n}'),
        ('{"a": "\\u00e4"}', {"b": "ä"}, '{"a": "\\u00e4", "b": "\\u00e4"}'),
        ('{"a": 1, "a": 2}', {"a": 3}, '{"a": 3, "a": 3}'),
        ('{"}": "{,\\"a\\": 1}", "a": null}', {"a": 0}, '{"}": "{,\\"a\\": 1}", "a": 0}'),
        (' \n{ "a" : 1 }', {}, ' \n{ "a" : 1 }'),
    ],
)
def test_a_member_is_set_in_the_style_of_the_rest(
    text: str, changes: dict[str, Any], expected: str
) -> None:
    assert updated(text, changes) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "5",
        "{",
        '{"a"}',
        '{"a":}',
        '{"a": 1',
        '{"a": 1 "b": 2}',
        "{a: 1}",
        '{"a": 1,}',
        "{'a': 1}",
    ],
)
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        updated(text, {"a": 1})


def test_nesting_a_thousand_deep_is_refused_or_kept() -> None:
    deep = '{"a": ' + "[" * 5_000 + "]" * 5_000 + "}"
    with pytest.raises(RecursionError):
        updated(deep, {"b": 1})


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
)
objects = st.dictionaries(st.text(max_size=4), values, max_size=5)


@given(
    data=objects,
    changes=objects,
    indent=st.sampled_from([None, 1, 2, 4, "\t"]),
    ascii_only=st.booleans(),
)
def test_reading_it_back_gives_the_members_as_set_and_their_order(
    data: dict[str, Any], changes: dict[str, Any], indent: int | str | None, ascii_only: bool
) -> None:
    result = json.loads(updated(json.dumps(data, indent=indent, ensure_ascii=ascii_only), changes))
    assert result == {**data, **changes}
    assert list(result) == list({**data, **changes})
