"""Splits names and prose into whole words: ``resnet50`` does not contain ``t5``."""

from __future__ import annotations

import re

#: A name's parts: runs of letters (``MedNLLB`` → med, nllb; ``LlamaForCausalLM`` → llama, for,
#: causal, lm) and of digits with their letter.
_PART = re.compile(
    r"[A-Z]{2,}(?![a-z])|[A-Z]?[a-z]+|[A-Z]+(?=[A-Z][a-z])|\d+(?:\.\d+)?[a-z]?|[^\W\d_A-Za-z]+"
)
_PLAIN = re.compile(r"[^\W_]+(?:\.\d+)?", re.UNICODE)

#: Families of models whose name is glued to what they are for: ``pubmedbert``, ``codellama``,
#: ``biogpt``.
_GLUED = re.compile(r"^(.{3,}?)(bert|roberta|gpt|llama|gemma|qwen|mistral|nllb|whisper|coder)$")


#: What is said not to be so: "no instruction tuning", "not a chat model".
_NEGATED = re.compile(
    r"\b(?:no|not|without|never|isn't|non)\b[ -]+(?:an? |the |any |for )?\w+(?:[ -]\w+)?",
    re.IGNORECASE,
)


def without_negations(text: str) -> str:
    """``text`` without what it denies."""
    return _NEGATED.sub(" ", text)


def words(text: str, limit: int = 400) -> list[str]:
    """Distinct lowercase words in order, split at hyphens, case changes and glued family names."""
    found: dict[str, None] = {}
    for token in _PLAIN.findall(text[: limit * 40]):
        lowered = token.lower()
        found.setdefault(lowered)
        if not token.islower() or not token.isalpha():
            for part in _PART.findall(token):
                found.setdefault(part.lower())
        if (glued := _GLUED.match(lowered)) and lowered.isalpha():
            for part in glued.groups():
                if part and len(part) >= 2:
                    found.setdefault(part)
    return list(found)[:limit]


def sequence(text: str, limit: int = 600) -> str:
    """Lowercase words joined by single spaces, with a space at either end.

    Phrases are found in it as ``" text to speech "``.
    """
    return f" {' '.join(token.lower() for token in _PLAIN.findall(text[: limit * 12])[:limit])} "
