"""YAML next to or inside models: its nesting, its texts and its tags.

Nothing is constructed, and aliases are never expanded.

Source: https://yaml.org/spec/1.1/ (what PyYAML reads).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

#: Larger files are not parsed.
MAX_BYTES = 2 << 20
MAX_EVENTS = 500_000
MAX_DEPTH = 200

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Tagged(str):
    """A scalar with a tag of its own, or the tag alone of a mapping or sequence."""

    __slots__ = ("tag",)
    tag: str

    def __new__(cls, value: str, tag: str) -> Tagged:
        made = super().__new__(cls, value)
        made.tag = tag
        return made


#: The keys under which a mapping or sequence with a tag carries the tag and itself: no text of YAML
#: holds a NUL.
TAG, HELD = "\0tag", "\0held"


def documents(raw: bytes) -> list[Any]:
    """Dictionaries, lists and texts; a container with a tag is ``{TAG: Tagged("", tag), HELD:
    contents}``.

    Raises ``ValueError`` with the reason for what PyYAML would refuse, and for more than anybody
    writes by hand.
    """
    if len(raw) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES >> 20} MB")
    try:
        return list(_documents(yaml.parse(raw, Loader=_LOADER)))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"it is not YAML: {' '.join(str(error).split())[:200]}") from error


def _documents(events: Iterator[yaml.Event]) -> Iterator[Any]:
    anchors: dict[str, Any] = {}
    stack: list[Any] = []
    keys: list[Any] = []
    whole: Any = None
    for count, event in enumerate(events):
        if count > MAX_EVENTS:
            raise ValueError(f"it has more than {MAX_EVENTS:,} entries")
        if isinstance(event, yaml.DocumentStartEvent):
            anchors, whole = {}, None
        elif isinstance(event, yaml.DocumentEndEvent):
            yield whole
        elif isinstance(event, yaml.CollectionEndEvent):
            stack.pop()
            keys.pop()
        elif isinstance(event, yaml.NodeEvent):
            value, inner = _node(event, anchors)
            if not stack:
                whole = value
            else:
                _add(stack[-1], keys, value)
            if inner is not None:
                stack.append(inner)
                keys.append(_NO_KEY)
                if len(stack) > MAX_DEPTH:
                    raise ValueError(f"it nests deeper than {MAX_DEPTH} levels")


_NO_KEY = object()


def _node(event: yaml.NodeEvent, anchors: dict[str, Any]) -> tuple[Any, Any]:
    """(the value, the container to be filled or ``None``)."""
    if isinstance(event, yaml.AliasEvent):
        return anchors.get(event.anchor or "", ""), None
    assert isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)
    tag = event.tag or ""
    own = tag if tag and tag != "!" else ""
    value: Any
    inner: Any = None
    if isinstance(event, yaml.ScalarEvent):
        value = Tagged(event.value, own) if own else event.value
    else:
        inner = {} if isinstance(event, yaml.MappingStartEvent) else []
        value = {TAG: Tagged("", own), HELD: inner} if own else inner
    if event.anchor:
        anchors[event.anchor] = value
    return value, inner


def _add(container: Any, keys: list[Any], value: Any) -> None:
    if isinstance(container, list):
        container.append(value)
    elif keys[-1] is _NO_KEY:
        keys[-1] = value
    else:
        key = keys[-1]
        keys[-1] = _NO_KEY
        # A key that is no text is kept for what it holds.
        container[key if isinstance(key, str) else f"?{len(container)}"] = (
            value if isinstance(key, str) else [key, value]
        )
