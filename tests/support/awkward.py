"""Values that people may set and programs stumble over, for every field of a model."""

from __future__ import annotations

from random import Random
from typing import Any

TEXTS = (
    "=1+1", "'=x", "''@", "a; b", "[x]", '["y"]', "-5", "+49 30", "@here", "a,b", 'say "hi"',
    "two\nlines", "ünïcode 漢字", "عربي", "<b>", "1e5",
    "null", "x" * 150,
)  # fmt: skip
LINES = tuple(text for text in TEXTS if "\n" not in text)


def awkward(chance: Random) -> dict[str, Any]:
    """{field: value}: most fields, each with a value that is allowed."""
    values: dict[str, Any] = {
        name: chance.choice(TEXTS)
        for name in ("display_name", "description", "license", "author", "architecture")
    }
    values |= {
        name: chance.choice(LINES)[:40]
        for name in ("base_model_relation", "quantization", "version", "model_family", "base_model")
    }
    values |= {
        name: chance.sample(LINES, chance.randint(1, 5))
        for name in ("tags", "language_support", "use_cases", "specialized_domains")
    }
    values |= {
        name: chance.randint(1, 1 << 62)
        for name in ("parameter_count", "context_length", "vocab_size", "layer_count")
    }
    inside = (1, 1.5, True, None, chance.choice(TEXTS), [1, "x", None], {"deep": {"er": [[]]}})
    for name in ("performance_metrics", "resource_requirements", "optimization_settings", "custom"):
        values[name] = {
            f"{chance.choice(LINES)} {number}": chance.choice(
                [each for each in inside if each is not None]
            )
            for number in range(3)
        }
    values |= {"type": "ONNX", "primary": "AUDIO", "secondary": "CHAT", "specialization": "LEGAL"}
    values |= {
        "capabilities": ["CHAT", "SPEECH"],
        "modalities": ["TEXT", "AUDIO"],
        "visibility": chance.choice(["PUBLIC", "ADMIN_ONLY"]),
    }
    return {name: value for name, value in values.items() if chance.random() < 0.8}
