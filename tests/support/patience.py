"""How long the product waits for disks, drivers and brokers.

In tests it waits so long that a busy machine is never taken for one that hangs. Where something
does hang, ``as_shipped`` brings the product's own limits back.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from types import ModuleType

from discovery import services
from discovery.services import machine

#: Names of limits, in seconds: of any service, and of those that ask the machine alone.
ANYWHERE, OF_THE_MACHINE = ("PATIENCE", "TIMEOUT"), ("LIMIT", "PROBE", "EARLY")
#: Seconds that a test waits for what does not hang.
PATIENT = 120.0


@cache
def shipped() -> list[tuple[ModuleType, str, float]]:
    """(module, name, seconds) of each limit, where it is defined and where it is imported."""
    found = []
    for each in pkgutil.walk_packages(services.__path__, f"{services.__name__}."):
        module = importlib.import_module(each.name)
        names = ANYWHERE + OF_THE_MACHINE * each.name.startswith(f"{machine.__name__}.")
        found += [(module, name, vars(module)[name]) for name in names if name in vars(module)]
    return found


def be_patient() -> None:
    for module, name, seconds in shipped():
        setattr(module, name, max(seconds, PATIENT))


@contextmanager
def as_shipped() -> Iterator[None]:
    before = [(module, name, getattr(module, name)) for module, name, _ in shipped()]
    for module, name, seconds in shipped():
        setattr(module, name, seconds)
    try:
        yield
    finally:
        for module, name, seconds in before:
            setattr(module, name, seconds)
