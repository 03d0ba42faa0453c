"""Fields of the model document that headers state: names of the catalogue, with values of their
kinds.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from discovery.engine.core.fields import FIELDS, Kind
from tests.engine.cases import CASES, build, read

_TYPES: dict[Kind, tuple[type, ...]] = {
    Kind.TEXT: (str,),
    Kind.LONG: (str,),
    Kind.CHOICE: (str,),
    Kind.NUMBER: (int,),
    Kind.FRACTION: (int, float),
    Kind.LIST: (list, tuple),
    Kind.WORDS: (list, tuple),
    Kind.OBJECT: (dict,),
}


@pytest.mark.parametrize("case", CASES)
def test_a_header_states_fields_by_their_names_and_kinds(case: str, tmp_path: Path) -> None:
    header = read(CASES[case][0], build(case, tmp_path))
    for name, value in header.fields.items():
        kind = Kind.TEXT if name == "name" else FIELDS[name].kind
        assert value is None or isinstance(value, _TYPES[kind]), name


def test_some_headers_state_fields(tmp_path: Path) -> None:
    stating = [case for case in CASES if read(CASES[case][0], build(case, tmp_path / case)).fields]
    assert len(stating) > 5
