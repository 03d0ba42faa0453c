"""rust-bert's ``.ot``: recognized by its suffix, and read as what PyTorch's own C++ code writes.

Source: https://github.com/guillaume-be/rust-bert, ``utils/convert_model.py``.
"""

from __future__ import annotations

from discovery.engine.core.format_registry import Format

#: The reader of PyTorch's files looks into these too.
FORMAT = Format(name="rust", label="rust-bert", rank=150, suffixes=(".ot",))
