"""Models of the demo tree for medicine, law and science.

One is cut short, one is unsafe: both on purpose.
"""

from __future__ import annotations

import os
from pathlib import Path

from discovery.demo.writers.cards import DemoCard, write_card
from discovery.demo.writers.folders import transformers_folder
from discovery.demo.writers.torch import write_pickle_with_import


def write(root: Path) -> None:
    _medical(root / "medical")
    transformers_folder(
        root / "legal/legal-bert", family="bert", layers=12, hidden=768, vocab=30522, context=512,
        dtype="F32",
        card=DemoCard(
            "LEGAL-BERT base",
            "BERT trained on 12 GB of legislation, court cases and contracts from the European "
            "Union, the United Kingdom and the United States.",
            license="cc-by-sa-4.0", tags=("legal", "fill-mask"), pipeline_tag="fill-mask",
            uses="Finding clauses, sorting judgments, tagging obligations.",
        ),
    )  # fmt: skip
    transformers_folder(
        root / "scientific/scibert-scivocab", family="bert", layers=12, hidden=768, vocab=31090,
        context=512, dtype="F32",
        card=DemoCard(
            "SciBERT with its own vocabulary",
            "Trained on 1.14 million papers from Semantic Scholar, four fifths of them biomedical, "
            "with word pieces made from the same papers.",
            license=None, tags=("science", "biology", "fill-mask"), pipeline_tag="fill-mask",
            scores={"SciERC": 67.6, "BC5CDR": 90.0},
        ),
    )  # fmt: skip


def _medical(root: Path) -> None:
    biogpt = root / "biogpt-large"
    transformers_folder(
        biogpt, family="biogpt", layers=48, hidden=1600, vocab=57717, context=2048, heads=25,
        dtype="F32",
        card=DemoCard(
            "BioGPT large",
            "A generative model of biomedical language, trained on 15 million abstracts from "
            "PubMed.",
            license="mit", tags=("medical", "biology", "pubmed"), pipeline_tag="text-generation",
            scores={"PubMedQA": 81.0},
            limits="Not a medical device. What it says about a patient must be checked by someone "
                   "who may treat one.",
        ),
    )  # fmt: skip
    weights = biogpt / "model.safetensors"
    # Broken on purpose: the download stopped.
    os.truncate(weights, weights.stat().st_size * 61 // 100)
    folder = root / "chest-xray-densenet"
    # Unsafe on purpose: loading it would run the command `true`.
    write_pickle_with_import(folder / "pytorch_model.bin", "posix", "system")
    write_card(folder, DemoCard(
        "Chest X-ray DenseNet",
        "Sorts chest X-rays into fourteen findings. Shared on a forum; origin unclear.",
        license=None, tags=("medical", "radiology", "image-classification"),
        pipeline_tag="image-classification", library="pytorch", language=(),
    ))  # fmt: skip
