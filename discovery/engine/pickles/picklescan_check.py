"""Asks picklescan's list about imports that ours does not know.

Its own reading of files is not used: it has no limits on size, and stops where a file is broken.
"""

from __future__ import annotations

import logging
from functools import lru_cache
from io import BytesIO

# What it finds becomes a problem of the file; in its own log it would be said twice.
logging.getLogger("picklescan").propagate = False

#: Its word for names it could not work out, which it looks for in any name:
#: ``UnknownToken.unknown`` would be dangerous.
_WORKED_OUT = "unknown"


@lru_cache(maxsize=256)
def dangerous(references: tuple[str, ...]) -> frozenset[str]:
    """Those of ``references`` (``module.name``) that picklescan calls dangerous.

    The public way to ask it is a pickle: one that imports every reference, cut into module and name
    at each of its dots.
    """
    # Where nothing is unknown, it is never needed.
    from picklescan.scanner import SafetyLevel, scan_pickle_bytes

    asked = [
        reference
        for reference in references
        if _WORKED_OUT not in reference and "\n" not in reference
    ]
    cuts = {(module, name): reference for reference in asked for module, name in _cuts(reference)}
    pickle = b"".join(f"c{module}\n{name}\n0".encode() for module, name in cuts) + b"N."
    told = scan_pickle_bytes(BytesIO(pickle), "", multiple_pickles=False).globals
    return frozenset(
        cuts[found.module, found.name] for found in told if found.safety is SafetyLevel.Dangerous
    )


def _cuts(reference: str) -> list[tuple[str, str]]:
    parts = reference.split(".")
    return [(".".join(parts[:at]), ".".join(parts[at:])) for at in range(1, len(parts))]
