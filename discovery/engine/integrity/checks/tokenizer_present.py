"""A model that reads text has its tokenizer."""

from __future__ import annotations

from discovery.engine.core.vocabulary import ModelType, Outcome
from discovery.engine.integrity.check import Check, Facts, Result

_TOKENIZED = frozenset({ModelType.TRANSFORMERS, ModelType.SENTENCE_TRANSFORMERS, ModelType.MLX})

_TOKENIZERS = frozenset({
    "tokenizer.json", "tokenizer.model", "vocab.txt", "vocab.json", "spiece.model",
    "sentencepiece.bpe.model", "tokenizer_config.json", "tekken.json",
    "source.spm", "target.spm",
})  # fmt: skip


def judge(facts: Facts, name: str) -> Result:
    if facts.type not in _TOKENIZED or "TEXT" not in (
        facts.value("input_modalities") or facts.value("modalities") or []
    ):
        return Result(name, Outcome.SKIPPED, "it needs no tokenizer file")
    present = next(
        (
            each
            for each in sorted(facts.names)
            if each in _TOKENIZERS or each.endswith((".tiktoken", ".spm"))
        ),
        None,
    )
    if present:
        return Result(name, Outcome.PASSED, f"{present} is there")
    return Result(
        name,
        Outcome.WARNING,
        "there is no tokenizer: download its files into the model's folder",
        facts.found.path,
    )


CHECK = Check(
    name="tokenizer_present",
    label="Tokenizer",
    description="A model that reads text has its tokenizer.",
    place=100,
    judge=judge,
)
