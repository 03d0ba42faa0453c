"""Tell "there was not enough memory" from other failures.

Every library has its own words for it.
"""

from __future__ import annotations

_WORDS = (
    "cannot allocate memory", "can't allocate memory", "could not allocate", "failed to allocate",
    "unable to allocate", "not enough memory",
    "out of memory", "bad_alloc", "bad allocation", "failed to map segment", "memoryerror",
    "memory allocation of",
)  # fmt: skip


def is_out_of_memory(error: BaseException) -> bool:
    return isinstance(error, MemoryError) or speaks_of_memory(str(error))


def speaks_of_memory(text: str) -> bool:
    text = text.lower()
    return any(words in text for words in _WORDS)
