"""The same files are read as the same bytes in every process: whatever the order of hashes, and of
what the file system lists.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from discovery.demo.tree import make_demo_tree
from discovery.engine.classify.categorize import Categorizer, as_json
from discovery.engine.classify.rules import CategorizationRules
from discovery.engine.classify.signals import SignalCollector, Signals
from tests.engine.reading import RULES
from tests.support import builders
from tests.support.waiting import DEADLINE

SEEDS = ("1", "2", "77")
PROJECT = Path(__file__).resolve().parents[2]


def awkward(root: Path) -> None:
    """Ties wherever orders could show: tags that count the same, parts of two sets under one stem,
    several indexes, links, odd names.
    """
    tags = [
        "chat",
        "code",
        "instruct",
        "reasoning",
        "assistant",
        "coding",
        "math",
        "python",
        "dialogue",
        "programming",
        "text-generation",
    ]
    builders.transformers(
        root / "tags", card=builders.DemoCard("Tags", "A model.", tags=tuple(tags))
    )
    builders.transformers(root / "shards", shards=5)
    for path in sorted((root / "shards").glob("*.safetensors"))[1:4]:
        path.unlink()
    (root / "shards/model.safetensors.index.json").unlink()
    for name in ("Model", "MODEL", "model"):
        (root / "mixed").mkdir(exist_ok=True)
        (root / f"mixed/{name}-0000{len(name) % 3 + 1}-of-00009.safetensors").write_bytes(
            b"\0" * 64
        )
    (root / "mixed/Model-00004-of-00009.safetensors").write_bytes(b"\0" * 64)
    (root / "mixed/config.json").write_text("{")
    builders.hub_cache(root / "hub", "org/name", revisions=3)
    builders.ollama_store(root / "ollama", "llama3", ("latest", "8b", "q4"))
    (root / "links").mkdir()
    for number in range(6):
        (root / f"links/{number}").symlink_to(root / "tags")
    for name in ("a.pt", "b.bin", "c.onnx", "d.gguf", "e.safetensors", "f.keras", "g.h5"):
        (root / "junk").mkdir(exist_ok=True)
        (root / "junk" / name).write_bytes(name.encode() * 50)


def reading(root: Path, seed: str) -> list[str]:
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    done = subprocess.run(
        [sys.executable, "-m", "tests.engine.reading", str(root), seed],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    return done.stdout.splitlines()


@pytest.mark.slow
@pytest.mark.parametrize("make", [make_demo_tree, awkward])
def test_every_process_reads_the_same_bytes(make: object, tmp_path: Path) -> None:
    root = tmp_path / "models"
    root.mkdir()
    make(root)  # type: ignore[operator]
    first, *others = (reading(root, seed) for seed in SEEDS)
    assert len(first) > 5
    for other in others:
        assert other == first


@pytest.mark.slow
def test_nothing_that_is_found_is_a_set(tmp_path: Path) -> None:
    make_demo_tree(tmp_path / "models")
    lines = reading(tmp_path / "models", "3")
    assert not any("frozenset({" in line or '"set()' in line for line in lines)


def test_categories_are_the_same_from_what_a_database_gives_back() -> None:
    """PostgreSQL keeps the keys of an object in an order of its own."""
    clues = SignalCollector()
    for number in range(20):
        clues.add_feature(f"library:lib{number * 7 % 20}", "x")
    for mark in (
        "chat_template",
        "tokenizer",
        "sentence_transformers",
        "pooling",
        "lora",
        "task:causal_lm",
    ):
        clues.add_feature(mark, "somewhere")
    clues.card(
        {"tags": ["chat", "code", "reasoning", "medical", "legal"]},
        "A chat model for code",
        "It chats about code, law and medicine.",
    )
    fresh = clues.finish(
        "chat-coder", "chat/coder", "reasoning and code", ["instruct"], ["a.py", "b.json"]
    )
    rules = CategorizationRules.model_validate(
        json.loads(Path(RULES).read_text())["categorization_rules"]
    )
    stored = Signals.from_json(json.loads(json.dumps(fresh.to_json(), sort_keys=True)))
    told = [
        json.dumps(
            as_json(
                {
                    axis: verdict.evidence
                    for axis, verdict in (
                        Categorizer(rules).verdicts(each, ("TEXT",), ("TEXT",)).items()
                    )
                }
            )
        )
        for each in (fresh, stored)
    ]
    assert told[0] == told[1]
