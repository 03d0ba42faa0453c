"""Migrations mean the same for ever: they bring along what they need."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import discovery

FOLDER = Path(discovery.__file__).parent / "migrations"


@pytest.mark.parametrize("path", sorted(FOLDER.glob("0*.py")), ids=lambda path: path.stem)
def test_a_migration_imports_nothing_that_changes_later(path: Path) -> None:
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            names.append("." * node.level + (node.module or ""))
        elif isinstance(node, ast.Import):
            names += [each.name for each in node.names]
    assert [name for name in names if name.startswith((".", "discovery", "karen_admin"))] == []


@pytest.mark.parametrize(
    ("path", "values", "expected"),
    [
        ("chat/llama-3-8b", {}, (0, 31)),
        ("chat/llama-3-8b", {"modalities": ["TEXT"]}, (0, 63)),
        ("chat/llama-3-8b", {"license": "mit", "modalities": ["TEXT"]}, (17, 61)),
        ("chat/Llama 3", {"description": "Chats.", "license": "mit"}, (40, 92)),
        ("chat/llama-3.Q4_K_M.gguf", {"parameter_count": 8_000_000_000}, (0, 95)),
        ("chat/llama-8b.Q4_K_M.gguf", {"parameter_count": 8_000_000_000}, (0, 31)),
        ("a/tiny-00001-of-00002.safetensors", {}, (0, 31)),
        ("models--a--B", {}, (0, 31)),
        ("", {}, (0, 31)),
    ],
)
def test_the_first_completeness_is_what_it_was_when_it_came(
    path: str, values: dict[str, Any], expected: tuple[int, int]
) -> None:
    assert import_module("discovery.migrations.0014_completeness").told(path, values) == expected
