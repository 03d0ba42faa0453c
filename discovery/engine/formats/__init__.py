"""Weight-file formats: a module each, which declares ``FORMAT`` and its ``read(stream, size)``.

The first bytes choose, the suffix only helps. A module that is put into this package is found.
"""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules
from typing import BinaryIO

from discovery.engine.core import format_registry
from discovery.engine.core.errors import NotThisFormat
from discovery.engine.core.format_registry import Format
from discovery.engine.core.text import is_web_page
from discovery.engine.core.types import Header

#: What reads files whose first bytes and suffix tell nothing.
_OTHERWISE = "pytorch"

for _module in iter_modules(__path__):
    _declared = getattr(import_module(f"{__name__}.{_module.name}"), "FORMAT", None)
    if isinstance(_declared, Format):
        format_registry.register(_declared)


def read(stream: BinaryIO, size: int, name: str, head: bytes) -> Header:
    """The header of the file ``name``, whose first bytes are ``head``.

    Raises ``NotThisFormat`` or ``InvalidHeader``.
    """
    if is_web_page(head) and not name.lower().endswith((".xml", ".mlmodel")):
        raise NotThisFormat("it is a web page: the download was refused or redirected")
    dot = name.rfind(".")
    suffix = name[dot:].lower() if dot >= 0 else ""
    reason: NotThisFormat | None = None
    for each in _candidates(name, suffix, head):
        if each.read is None:
            continue
        stream.seek(0)
        try:
            return each.read(stream, size)
        except NotThisFormat as error:
            reason = reason or error
    raise reason or NotThisFormat("no reader knows it")


def _candidates(name: str, suffix: str, head: bytes) -> list[Format]:
    """The formats that the first bytes identify, otherwise those of the name, best first."""
    every = format_registry.every()
    named = format_registry.by_name(name)
    told = next((each for each in every if each.magic and each.magic(head, suffix)), None)
    likely = [told] if told else []
    likely += [named[0]] if named else []
    if not likely or named:
        perhaps = format_registry.perhaps(suffix)
        likely += [each for each in every if each.name in perhaps]
    otherwise = format_registry.get(_OTHERWISE)
    return likely or ([otherwise] if otherwise else [])
