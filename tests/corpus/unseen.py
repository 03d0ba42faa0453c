"""How much of the corpus score rests on knowing the very models in it: ``python
tests/corpus/unseen.py ../shared``.

* Leave one family out: the models of each model type are decided by rules from which every pattern
  that names that type or its classes is gone.
* Nameless: no word of the model's name, folder, title or base model reaches the rules.

Prints right and scored for each axis, beside the score with everything; holds nothing, since what
is lost is the point.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

BASE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(BASE))

from discovery.engine.classify.categorize import Categorizer  # noqa: E402
from discovery.engine.classify.describe import decide  # noqa: E402
from discovery.engine.classify.rules import CategorizationFile  # noqa: E402
from discovery.engine.classify.signals import Signals  # noqa: E402
from discovery.engine.core.config import Discovery  # noqa: E402
from discovery.engine.core.errors import NotAModel  # noqa: E402
from discovery.engine.core.types import Candidate, Found  # noqa: E402
from discovery.engine.core.vocabulary import AXES  # noqa: E402
from discovery.engine.disk.walk import walk  # noqa: E402
from discovery.engine.identify.identify import identify  # noqa: E402

NAMED = ("name", "folder", "title", "base model")


def read(root: Path) -> list[Found]:
    found = []
    for item in walk(str(root), Discovery()):
        if isinstance(item, Candidate):
            try:
                found += identify(str(root), item, Discovery())
            except NotAModel:
                continue
    return found


def without(document: dict[str, Any], signals: Signals) -> Categorizer:
    """The shipped rules minus what names this family: its model types, its classes, and words of
    either in keywords.
    """
    names = [*signals.model_types, *signals.architectures]
    stems = {
        name.lower().replace("_", "").rstrip("0123456789")
        for name in signals.model_types
        if len(name) > 2
    }
    thinned = json.loads(json.dumps(document))
    for section in thinned["categorization_rules"].values():
        for rules in section.values():
            for rule in rules if isinstance(rules, list) else [rules]:
                for kind in ("architectures", "model_types"):
                    if kind in rule:
                        rule[kind] = [
                            p
                            for p in rule[kind]
                            if p.startswith("*For")
                            or not any(fnmatchcase(name, p) for name in names)
                        ]
                if "keywords" in rule:
                    rule["keywords"] = [
                        word
                        for word in rule["keywords"]
                        if not any(stem in word.lower() for stem in stems)
                    ]
                for kind in ("architectures", "model_types", "keywords"):
                    if kind in rule and not rule[kind]:
                        del rule[kind]
    for section in thinned["categorization_rules"].values():
        for name, rules in section.items():
            kept = [
                rule
                for rule in (rules if isinstance(rules, list) else [rules])
                if set(rule) - {"weight", "places"}
            ]
            section[name] = kept
    return Categorizer(CategorizationFile.model_validate(thinned).categorization_rules)


def nameless(signals: Signals) -> Signals:
    def kept(told: Mapping[str, Any]) -> dict[str, Any]:
        return {place: value for place, value in told.items() if place not in NAMED}

    return replace(signals, words=kept(signals.words), phrases=kept(signals.phrases))


def main(shared: Path) -> int:
    corpus = shared / "corpus"
    document = json.loads((BASE / "config" / "model_categorization.json").read_text())
    everything = Categorizer(CategorizationFile.model_validate(document).categorization_rules)
    labels = {
        label["path"]: label
        for label in json.loads((corpus / "expected.json").read_text())["models"]
    }
    rows: dict[str, Counter[str]] = {
        way: Counter() for way in ("with everything", "family left out", "nameless")
    }
    with tempfile.TemporaryDirectory(prefix="karen-corpus-") as folder:
        subprocess.run(
            [sys.executable, str(corpus / "materialise.py"), str(corpus), folder],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        for found in read(Path(folder) / "models"):
            label = labels.get(found.path)
            if label is None:
                continue
            signals = Signals.from_json(found.signals)
            flow = [
                list(found.values[name].value) if name in found.values else []
                for name in ("input_modalities", "output_modalities")
            ]
            ways = {
                "with everything": (signals, everything),
                "family left out": (signals, without(document, signals)),
                "nameless": (nameless(signals), everything),
            }
            for way, (seen, categorizer) in ways.items():
                decided, _ = decide(seen, *flow, categorizer)
                for axis in AXES:
                    accepted = label[f"{axis}_accept"]
                    if accepted is not None:
                        rows[way][axis] += decided.get(axis) in accepted
                        rows[way][f"of {axis}"] += 1
    for way, counts in rows.items():
        shown = ", ".join(
            f"{axis} {counts[axis]} / {counts[f'of {axis}']}"
            f" ({100 * counts[axis] / counts[f'of {axis}']:.1f} %)"
            for axis in AXES
        )
        print(f"{way:16} {shown}")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
