"""The tokenizer has no tokens that the model has no room for."""

from __future__ import annotations

from discovery.engine.core.vocabulary import Outcome
from discovery.engine.integrity.check import Check, Facts, Result


def judge(facts: Facts, name: str) -> Result:
    size, rows = facts.tokenizer_size, facts.value("vocab_size")
    if size is None or not rows:
        what = (
            "there is no tokenizer.json to compare"
            if "tokenizer.json" not in facts.names
            else "scans do not open the tokenizer: validate to compare"
        )
        return Result(
            name,
            Outcome.SKIPPED,
            what if size is None else "the model's vocabulary size is not known",
        )
    if size > rows:
        text = (
            f"tokenizer.json has {size:,} entries, the model has room for {rows:,}: some tokens"
            " would be out of its reach"
        )
        return Result(name, Outcome.WARNING, text, facts.found.path)
    return Result(name, Outcome.PASSED, f"{size:,} tokens fit the {rows:,} of the model")


CHECK = Check(
    name="tokenizer_matches_vocab",
    label="Tokenizer fits the model",
    description="The tokenizer has no tokens that the model has no room for.",
    place=110,
    judge=judge,
)
