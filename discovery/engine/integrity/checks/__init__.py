"""The checks: a module each, which declares ``CHECK``.

A module that is put into this package is found.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

from discovery.engine.integrity.check import Check


def _declared() -> dict[str, Check]:
    """Name → check, in the order in which they are shown.

    Raises ``ValueError`` for a name that two modules use.
    """
    modules = [import_module(f"{__name__}.{found.name}") for found in iter_modules(__path__)]
    found = [module.CHECK for module in modules if hasattr(module, "CHECK")]
    checks = {each.name: each for each in sorted(found, key=lambda each: (each.place, each.name))}
    if len(checks) < len(found):
        raise ValueError("Two checks have the same name.")
    return checks


CHECKS: dict[str, Check] = _declared()


def label(name: str) -> str:
    """What people call a check; one that is gone is called as it was stored."""
    return CHECKS[name].label if name in CHECKS else name.replace("_", " ")
