"""The tree that ``serve --demo`` shows.

It has some 40 models with real headers and holes for weights, and a small one in each format of
other programs.
"""

from __future__ import annotations

from pathlib import Path

from discovery.demo.sections import audio, language, multimodal, programs, specialized, vision
from discovery.demo.writers.cards import DemoCard
from discovery.demo.writers.folders import sentence_transformers_folder
from discovery.demo.writers.shapes import Sizes
from discovery.demo.writers.stores import hub_cache, ollama_store


def make_demo_tree(root: Path) -> None:
    """Write the models below ``root``, which must not hold any yet.

    Two are broken and one is unsafe; nothing in it is ever loaded.
    """
    language.write(root / "language")
    vision.write(root / "vision")
    audio.write(root / "audio")
    multimodal.write(root / "multimodal")
    specialized.write(root / "specialized")
    programs.write_language(root / "language/other-programs")
    programs.write_tables(root / "specialized/tables")
    programs.write_audio(root / "audio/other-programs")
    programs.write_vision(root / "vision/other-programs")
    _stores(root / "stores")


def _stores(root: Path) -> None:
    """Blobs carry the hash of what they hold, so these models are small."""
    hub_cache(root / "huggingface/hub", "sentence-transformers/all-MiniLM-L6-v2", build=_minilm)
    ollama_store(
        root / "ollama",
        "pocketllama",
        ("latest", "115m", "115m-instruct-q4_0"),
        sizes=Sizes(30, 576, 8192, 8192, 1536, 9, 3),
    )


def _minilm(folder: Path) -> None:
    card = DemoCard(
        "all-MiniLM-L6-v2",
        "Maps sentences and short paragraphs to 384 numbers. Trained on a billion pairs of"
        " sentences to tell which belong together.",
        tags=("sentence-transformers", "sentence-similarity"),
        pipeline_tag="sentence-similarity",
        library="sentence-transformers",
        uses=(
            "Semantic search, clustering, finding duplicates. Text beyond 256 word pieces is cut"
            " off."
        ),
    )
    sentence_transformers_folder(
        folder, sizes=Sizes(layers=6, hidden=384, vocab=30522, context=512, heads=12), card=card
    )
