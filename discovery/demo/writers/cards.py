"""Model cards: a README.md with front matter as the Hub defines it.

Source: https://github.com/huggingface/hub-docs/blob/main/modelcard.md
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from discovery.demo.writers.sparse import write_text


@dataclass(frozen=True, slots=True)
class DemoCard:
    """The text and scores of a model card.

    ``scores`` are task results in percent, by data set; they become ``model-index`` and a table.
    """

    title: str
    prose: str
    license: str | None = "apache-2.0"
    language: tuple[str, ...] = ("en",)
    tags: tuple[str, ...] = ()
    pipeline_tag: str | None = None
    base_model: str | None = None
    library: str | None = "transformers"
    uses: str = ""
    limits: str = ""
    scores: Mapping[str, float] = field(default_factory=dict)

    def front_matter(self) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "license": self.license,
            "language": list(self.language),
            "library_name": self.library,
            "pipeline_tag": self.pipeline_tag,
            "base_model": self.base_model,
            "tags": list(self.tags),
        }
        if self.scores:
            results = [
                {
                    "task": {"type": self.pipeline_tag or "text-generation"},
                    "dataset": {"name": name, "type": name.lower()},
                    "metrics": [{"type": "accuracy", "value": value}],
                }
                for name, value in self.scores.items()
            ]
            fields["model-index"] = [{"name": self.title, "results": results}]
        return {name: value for name, value in fields.items() if value}

    def text(self) -> str:
        front = yaml.safe_dump(self.front_matter(), sort_keys=False, allow_unicode=True)
        sections = [f"# {self.title}", self.prose]
        if self.uses:
            sections += ["## Intended use", self.uses]
        if self.limits:
            sections += ["## Limitations", self.limits]
        if self.scores:
            rows = "\n".join(f"| {name} | {value:.1f} |" for name, value in self.scores.items())
            sections += ["## Evaluation", f"| Benchmark | Score |\n|---|---:|\n{rows}"]
        return f"---\n{front}---\n\n" + "\n\n".join(sections) + "\n"


def write_card(folder: Path, card: DemoCard) -> None:
    write_text(folder / "README.md", card.text())


def model_card(path: Path, card: DemoCard | bool) -> None:
    """Write the card: for ``True`` a short one of its own, for ``False`` none."""
    if card is True:
        card = DemoCard(
            path.name, f"{path.name} is a small model made for trying things out.", tags=("demo",)
        )
    if card:
        write_card(path, card)
