"""Models of the demo tree that process images and speech."""

from __future__ import annotations

from pathlib import Path

from discovery.demo.sections.language import MISTRAL_7B
from discovery.demo.writers.cards import DemoCard
from discovery.demo.writers.folders import transformers_folder
from discovery.demo.writers.gguf_folders import gguf_folder


def write(root: Path) -> None:
    transformers_folder(
        root / "llava-1.5-7b", family="llava", layers=32, hidden=4096, vocab=32064, context=4096,
        intermediate=11008, heads=32, shards=3, dtype="F16",
        chat=True,
        card=DemoCard(
            "LLaVA 1.5 7B",
            "Vicuna with CLIP's eyes: describes pictures, reads charts and answers questions about "
            "them. A projector of two layers joins the halves.",
            license="llama2", tags=("vision-language", "llava"), pipeline_tag="image-text-to-text",
            base_model="lmsys/vicuna-7b-v1.5",
            limits="Counts badly and overlooks small print.",
            scores={"VQAv2": 78.5, "TextVQA": 58.2},
        ),
    )  # fmt: skip
    gguf_folder(
        root / "llava-v1.6-mistral-7b-gguf", stem="llava-v1.6-mistral-7b",
        name="LLaVA 1.6 Mistral 7B", sizes=MISTRAL_7B, mmproj=True,
        card=DemoCard(
            "LLaVA 1.6 Mistral 7B, GGUF",
            "For llama.cpp: the language model and, beside it, the projector that must be loaded "
            "with it to see pictures.",
            tags=("gguf", "vision-language"), pipeline_tag="image-text-to-text",
            base_model="liuhaotian/llava-v1.6-mistral-7b", library="gguf",
        ),
    )  # fmt: skip
