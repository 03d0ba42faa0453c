"""Whatever a problem is called, people are told what to do about it.

The codes are found in the source: those that are written where something with a ``code`` is made,
in a variable that is handed over there, in a tuple that says how grave it is, and in tables.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import discovery
from discovery.engine.core.problem_codes import PROBLEM_CODES
from discovery.engine.integrity.checks import CHECKS

FOLDER = Path(discovery.__file__).parent
CODE = re.compile(r"[a-z]+(_[a-z]+)*")

#: What makes or reports a problem; the code is the argument of that name.
MAKERS = ("Problem", "complain", "problem", "Naming", "broken")


@cache
def trees() -> dict[str, ast.Module]:
    parts = ("engine", "services", "management")
    return {
        str(path.relative_to(FOLDER)): ast.parse(path.read_text(encoding="utf-8"))
        for part in parts
        for path in sorted((FOLDER / part).rglob("*.py"))
    }


def places() -> dict[str, set[int]]:
    """Maker → at which place it takes the code."""
    found: dict[str, set[int]] = {}
    for tree in trees().values():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                names = [each.arg for each in node.args.args if each.arg not in ("self", "cls")]
            elif isinstance(node, ast.ClassDef):
                lines = [each for each in node.body if isinstance(each, ast.AnnAssign)]
                names = [each.target.id for each in lines if isinstance(each.target, ast.Name)]
            else:
                continue
            if node.name in MAKERS and "code" in names:
                found.setdefault(node.name, set()).add(names.index("code"))
    return found


def variables(tree: ast.Module) -> dict[str, list[ast.expr]]:
    """Name → what is assigned to it, anywhere in a file."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(tree):
        for target in node.targets if isinstance(node, ast.Assign) else ():
            assert isinstance(node, ast.Assign)
            pairs: list[tuple[ast.expr, ast.expr]] = [(target, node.value)]
            if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple):
                pairs = list(zip(target.elts, node.value.elts, strict=False))
            for name, value in pairs:
                if isinstance(name, ast.Name):
                    found.setdefault(name.id, []).append(value)
    return found


def texts(value: ast.expr, known: dict[str, list[ast.expr]]) -> Iterator[str]:
    for node in ast.walk(value):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.Name):
            for assigned in known.get(node.id, ()):
                yield from texts(assigned, {})


def codes() -> dict[str, str]:
    """Code → where it is written."""
    found: dict[str, str] = {}
    taken = places()
    for path, tree in trees().items():
        known = variables(tree)
        for node in ast.walk(tree):
            given: list[ast.expr] = []
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                given += [each for at in taken.get(name, ()) for each in node.args[at : at + 1]]
                if name in MAKERS:
                    given += [each.value for each in node.keywords if each.arg == "code"]
            elif isinstance(node, ast.Tuple) and len(node.elts) > 1:
                grave = node.elts[1]
                if isinstance(grave, ast.Attribute) and ast.unparse(grave.value) == "Severity":
                    given.append(node.elts[0])
            for value in given:
                for text in texts(value, known):
                    if CODE.fullmatch(text):
                        found.setdefault(text, f"{path}:{value.lineno}")
    return found


def test_every_problem_code_is_declared_with_advice() -> None:
    undeclared = {code: where for code, where in codes().items() if code not in PROBLEM_CODES}
    assert undeclared == {}
    assert [code for code, each in PROBLEM_CODES.items() if not each.advice] == []


def test_all_that_is_declared_can_happen() -> None:
    """A code that nothing uses was left behind, or is spelled another way than it."""
    assert PROBLEM_CODES.keys() - codes().keys() == set()


def test_every_check_that_a_code_names_is_one() -> None:
    assert {each.check for each in PROBLEM_CODES.values()} - {"", *CHECKS} == set()
