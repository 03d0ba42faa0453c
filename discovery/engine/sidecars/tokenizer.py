"""Reads the context length and the vocabulary size from tokenizer files."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from discovery.engine.core.text import positive

MAX_BYTES = 64 << 20

#: Shorter or longer "limits" are placeholders: ``model_max_length`` of 12 or 1e30 are both in
#: circulation.
_SANE_CONTEXT = range(32, 20_000_001)

_VOCAB = re.compile(rb'"vocab"\s*:\s*(?=[{\[])')
_MERGES = re.compile(rb'"merges"\s*:\s*\[')
_ADDED = re.compile(rb'"added_tokens"\s*:\s*(?=\[)')


def fields(config: Mapping[str, Any]) -> dict[str, Any]:
    """What ``tokenizer_config.json`` states: ``context_length`` when it is a sane number."""
    length = positive(config.get("model_max_length")) or positive(config.get("max_len"))
    return {"context_length": length} if length and length in _SANE_CONTEXT else {}


def vocabulary_size(raw: bytes) -> int | None:
    """Tokens of a ``tokenizer.json``, added ones included; ``None`` when the file is not of that
    shape.

    Only ``vocab`` and ``added_tokens`` are decoded: the merges, most of the file, are not.
    """
    if len(raw) > MAX_BYTES:
        return None
    vocab = _value(raw, _VOCAB)
    if isinstance(vocab, list):
        size = len(vocab)
    elif isinstance(vocab, dict) and vocab:
        size = 1 + max((n for n in vocab.values() if isinstance(n, int)), default=len(vocab) - 1)
    else:
        return None
    added = _value(raw, _ADDED)
    ids = (
        [item.get("id") for item in added if isinstance(item, dict)]
        if isinstance(added, list)
        else []
    )
    return positive(max([size, *(n + 1 for n in ids if isinstance(n, int))]))


def _value(raw: bytes, start: re.Pattern[bytes]) -> Any:
    match = start.search(raw)
    if match is None:
        return None
    merges = _MERGES.search(raw, match.end())
    text = raw[match.end() : merges.start() if merges else len(raw)].decode("utf-8", "replace")
    try:
        return json.JSONDecoder().raw_decode(text)[0]
    except (ValueError, RecursionError):
        return None
