"""Reads every model below a folder and prints all that is found, as bytes: run in processes of
their own, see ``test_same_reading.py``.

``python -m tests.engine.reading FOLDER [SEED]``; a seed shuffles what the file system lists.
"""

from __future__ import annotations

import dataclasses
import json
import os
import random
import sys
from collections.abc import Mapping
from typing import Any

from discovery.engine.classify.categorize import Categorizer
from discovery.engine.classify.describe import categorized
from discovery.engine.classify.rules import CategorizationRules
from discovery.engine.core.config import Discovery
from discovery.engine.core.errors import NotAModel
from discovery.engine.core.types import Candidate
from discovery.engine.disk.walk import walk
from discovery.engine.identify.document import document
from discovery.engine.identify.identify import identify
from discovery.engine.integrity.validate import checks, tokenizer_size

RULES = os.path.join(os.path.dirname(__file__), "../../config/model_categorization.json")


class Shuffled:
    """``os.scandir`` as another file system would answer."""

    def __init__(self, entries: Any, chance: random.Random) -> None:
        self.entries = entries
        self.listed = list(entries)
        chance.shuffle(self.listed)

    def __iter__(self) -> Any:
        return iter(self.listed)

    def __enter__(self) -> Shuffled:
        return self

    def __exit__(self, *_: object) -> None:
        self.entries.close()

    def close(self) -> None:
        self.entries.close()


def shuffle(seed: int) -> None:
    chance, scandir, listdir = random.Random(seed), os.scandir, os.listdir
    os.scandir = lambda *path: Shuffled(scandir(*path), chance)  # type: ignore[assignment]
    os.listdir = lambda *path: sorted(  # type: ignore[assignment]
        listdir(*path), key=lambda _: chance.random()
    )


def plain(value: Any) -> Any:
    """As JSON, orders kept: also those that equality overlooks.

    A set is told as one, so that it fails the test.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value if value is None or isinstance(value, str | int | float | bool) else repr(value)


def main(root: str, seed: int | None) -> None:
    if seed is not None:
        shuffle(seed)
    settings = Discovery()
    with open(RULES, encoding="utf-8") as stream:
        categorizer = Categorizer(
            CategorizationRules.model_validate(json.load(stream)["categorization_rules"])
        )
    out = sys.stdout
    for item in walk(root, settings):
        if not isinstance(item, Candidate):
            out.write(ascii(json.dumps(["problem", plain(item)])) + "\n")
            continue
        try:
            models = identify(root, item, settings)
        except NotAModel as error:
            out.write(ascii(json.dumps(["skipped", item.place, str(error)])) + "\n")
            continue
        for found in models:
            decided = categorized(found, categorizer)
            told = [
                plain(decided),
                document(decided, root, "x"),
                plain(checks(decided, tokenizer_size(root, decided))),
            ]
            out.write(ascii(json.dumps(told)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None)
