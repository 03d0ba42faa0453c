"""The labelled corpus against the bars of the issues: ``python tests/corpus/score.py ../shared``.

Exits 1 when one is missed.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

BASE = Path(__file__).resolve().parents[2]

#: Field → least per cent. "found as one model" and "extra" hold every labelled model and nothing
#: else.
BARS = {
    "found as one model": 100,
    "format": 98,
    "architecture": 98,
    "parameters": 98,
    "context": 95,
    "vocabulary": 95,
    "modalities": 97,
    "primary": 98,
    "secondary": 93,
    "specialization": 97,
    "adapter": 100,
    "quantized": 100,
    "weights state": 95,
}

#: Verdicts that must be explained, and what stands for "no verdict".
EXPLAINED = {"primary": None, "secondary": None, "specialization": "GENERAL"}


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def unexplained(documents: list[dict[str, Any]]) -> list[str]:
    """Verdicts without a piece of evidence that a person can check: a rule, what it matched, and
    where.
    """
    complaints = []
    for document in documents:
        evidence = document["evidence"]
        told = [
            axis
            for axis, none in EXPLAINED.items()
            if document["category"][axis] not in (None, none)
        ]
        told += ["modalities"] if document["modalities"] else []
        complaints += [
            f"{document['path']}: nothing explains its {axis}"
            for axis in told
            if not any(
                piece["rule"] and piece["matched"] and piece["where"]
                for piece in evidence.get(axis, [])
            )
        ]
    return complaints


def false_alarms(documents: list[dict[str, Any]], labels: list[dict[str, Any]]) -> list[str]:
    """Models called unsafe or corrupt whose label does not say that they are broken: none of them
    is malicious.
    """
    broken = {label["path"] for label in labels if label["weights_state"] == "broken"}
    return [
        f"{document['path']} is called {document['status']}: {document['problems'][0]['message']}"
        for document in documents
        if document["status"] in ("UNSAFE", "CORRUPT") and document["path"] not in broken
    ]


def main(shared: Path) -> int:
    corpus = shared / "corpus"
    with tempfile.TemporaryDirectory(prefix="karen-corpus-") as folder:
        subprocess.run(
            [sys.executable, str(corpus / "materialise.py"), str(corpus), folder], check=True
        )
        found = Path(folder) / "found.json"
        with found.open("w") as output:
            command = [sys.executable, "manage.py", "inspect_model", f"{folder}/models", "--json"]
            if subprocess.run(command, cwd=BASE, stdout=output, check=False).returncode not in (
                0,
                1,
            ):
                return 1
        documents, labels = (
            json.loads(found.read_text()),
            json.loads((corpus / "expected.json").read_text())["models"],
        )
        complaints = unexplained(documents) + false_alarms(documents, labels)
        scores = load(corpus / "score.py").main(
            str(corpus / "expected.json"), str(found), verbose=False
        )
    missed = [
        f"{name}: {scores[name]:.1f} % is under {bar} %"
        for name, bar in BARS.items()
        if scores[name] < bar
    ]
    missed += complaints
    if scores["extra"]:
        missed.append(f"{scores['extra']} places are registered that are no models")
    for line in missed:
        print(line)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
