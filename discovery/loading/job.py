"""The messages between parent and child: one JSON document in each direction.

The answer is checked, for the child is not trusted.
"""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Annotated

import msgspec

from discovery.engine.core.service_words import LoadResult
from discovery.engine.core.vocabulary import ModelType

MAX_MESSAGE = 2_000
MAX_ANSWER_BYTES = 64 << 10

#: Types whose models Transformers loads by their config.json.
TRANSFORMERS_TYPES = frozenset(
    {ModelType.TRANSFORMERS, ModelType.SENTENCE_TRANSFORMERS, ModelType.HUGGINGFACE}
)

_Count = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]


Result = LoadResult


class Mechanism(StrEnum):
    """What keeps the child to its files. ``NONE``: its own word alone (``guard``)."""

    BUBBLEWRAP = "bubblewrap"
    LANDLOCK = "landlock"
    NONE = "none"


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """How the child is held.

    ``filtered``: system calls outside a closed list fail. The paths are absolute; ``files`` are the
    model's own among those that it may read.
    """

    mechanism: Mechanism = Mechanism.NONE
    filtered: bool = False
    readable: tuple[str, ...] = ()
    listable: tuple[str, ...] = ()
    files: tuple[str, ...] = ()


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One variant to load.

    ``root`` is absolute; ``files`` are its weight files, relative to it, in the form the system
    names them.

    ``memory_bytes`` bounds what the child may allocate (files it maps do not count),
    ``cpu_seconds`` how long it may compute. ``endpoint``, ``place`` and ``api_key`` are for hosted
    models alone: the address, the IP address that it was found to lead to and that is connected to
    (empty: whatever the name leads to), and the key. ``cell`` is filled in by who starts the child.
    """

    root: str = ""
    files: tuple[str, ...] = ()
    type: str
    format: str | None = None
    name: str = ""
    weights_bytes: int = 0
    memory_bytes: int
    cpu_seconds: int
    parent: int = 0
    endpoint: str = ""
    place: str = ""
    api_key: str = ""
    cell: Cell = Cell()

    def to_json(self) -> bytes:
        # The json module, for file names that are not UTF-8: it escapes lone surrogates where
        # msgspec refuses them.
        return json.dumps(msgspec.to_builtins(self)).encode()

    @classmethod
    def from_json(cls, raw: bytes) -> Job:
        """Parse a job; raises ``ValueError``."""
        return msgspec.convert(json.loads(raw), cls)


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a test load.

    ``message`` is one sentence or a few; ``peak_memory_bytes`` includes mapped files, as far as
    they were read.
    """

    result: Result
    loader: Annotated[str, msgspec.Meta(max_length=60)] = ""
    message: Annotated[str, msgspec.Meta(max_length=MAX_MESSAGE)]
    seconds: Annotated[float, msgspec.Meta(ge=0, le=1e7)] | None = None
    peak_memory_bytes: _Count | None = None

    def to_json(self) -> bytes:
        return json.dumps(msgspec.to_builtins(self)).encode()

    @classmethod
    def from_json(cls, raw: bytes) -> Outcome:
        """Parse an outcome; raises ``ValueError`` for anything but one complete outcome."""
        return msgspec.json.decode(raw, type=cls)
