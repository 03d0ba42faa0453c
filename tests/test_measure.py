"""The measure of the house: what a person can take in at once."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from django.conf import settings

BASE = Path(settings.BASE_DIR)
LONGEST = 60
MODULES = sorted(
    path
    for folder in ("discovery", "karen_admin")
    for path in (BASE / folder).rglob("*.py")
    if "migrations" not in path.parts
)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(BASE)))
def test_no_function_is_longer_than_a_screen(path: Path) -> None:
    functions = (
        node
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    assert [
        function.name
        for function in functions
        if (function.end_lineno or 0) - function.lineno + 1 > LONGEST
    ] == []
