"""Import this before anything of the engine to leave its formats out.

Registering the readers of all formats takes a quarter of a second of processor, which a child that
reads no weights need not spend. Who asks for ``discovery.engine.formats`` still gets it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

if "discovery.engine" not in sys.modules:
    _package = ModuleType("discovery.engine")
    _package.__path__ = [str(Path(__file__).resolve().parents[1] / "engine")]
    sys.modules["discovery.engine"] = _package
