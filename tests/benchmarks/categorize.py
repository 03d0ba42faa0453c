"""Categorizing already-read models by 200 rules: ``python tests/benchmarks/categorize.py 10000``.

Holds: 10,000 models in under 3 s in one process, and trying a change over a registry of 10,000 in
under 4 s.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path

BASE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(BASE))

DECIDE_SECONDS, TRY_SECONDS = 3.0, 4.0

NAMES = (
    "llama-3-8b-instruct",
    "starcoder-15b",
    "bert-base-ner",
    "whisper-large",
    "vit-classifier",
    "sdxl-turbo",
    "mathbert-embed",
    "legal-bert",
)
TYPES = ("llama", "gpt_bigcode", "bert", "whisper", "vit", "stable-diffusion", "bert", "bert")
CLASSES = (
    "LlamaForCausalLM", "GPTBigCodeForCausalLM", "BertForTokenClassification",
    "WhisperForConditionalGeneration", "ViTForImageClassification",
    "StableDiffusionPipeline", "BertModel", "BertForMaskedLM",
)  # fmt: skip
PROSE = (
    "This model was trained on a large corpus of text and is meant for research on reasoning,"
    " writing and the analysis of long documents. " * 6
)


def rules_of(count: int) -> str:
    """The shipped rules and made-up ones beside them, ``count`` in all."""
    from discovery.services.core.config_files import SHIPPED_RULES

    document = json.loads(SHIPPED_RULES.read_text())
    sections = document["categorization_rules"]
    have = sum(
        len(rules) if isinstance(rules, list) else 1
        for section in sections.values()
        for rules in section.values()
    )
    extra = [
        {
            "keywords": [f"word{n}", f"two words {n}"],
            "architectures": [f"*Made{n}Model"],
            "weight": 0.5,
        }
        for n in range(count - have)
    ]
    sections["secondary_category"]["ANALYSIS"] += extra
    return json.dumps(document)


def make(count: int) -> None:
    from django.utils import timezone

    from discovery.engine.classify.modality import detect
    from discovery.engine.classify.signals import SignalCollector
    from discovery.models import RegisteredModel, Root

    root, now, batch = Root.objects.create(path="/made"), timezone.now(), []
    for number in range(count):
        kind, name = number % len(NAMES), f"{NAMES[number % len(NAMES)]}-{number}"
        clues = SignalCollector()
        clues.config(
            {"architectures": [CLASSES[kind]], "model_type": TYPES[kind], "vocab_size": 32000},
            "config.json",
        )
        clues.card({"tags": ["pytorch", "demo"], "base_model": "org/base"}, name, PROSE)
        signals = clues.finish(
            name,
            f"shelf/{name}",
            PROSE[:300],
            ["pytorch"],
            ["config.json", "model.safetensors", "tokenizer.json"],
        )
        seen = detect(signals)
        extracted = {
            "input_modalities": sorted(seen.inputs),
            "output_modalities": sorted(seen.outputs),
        }
        record = RegisteredModel(
            model_id=f"m{number}",
            root=root,
            path=f"shelf/{name}",
            place=f"shelf/{name}",
            name=name,
            status="READY",
        )
        record.signature = record.fingerprint = f"{number:032x}"
        record.added_at = record.changed_at = now
        record.signals = signals.to_json()
        record.extracted = {
            field: {"value": value, "source": "config.json"} for field, value in extracted.items()
        }
        batch.append(record)
    RegisteredModel.objects.bulk_create(batch, batch_size=500)


def main(count: int) -> int:
    from discovery.engine.classify.categorize import Categorizer
    from discovery.engine.classify.describe import decide
    from discovery.engine.classify.signals import Signals
    from discovery.models import RegisteredModel
    from discovery.services.scans import categorization

    make(count)
    rules = categorization.parse(rules_of(200))
    read = [
        (
            Signals.from_json(signals),
            extracted["input_modalities"]["value"],
            extracted["output_modalities"]["value"],
        )
        for signals, extracted in RegisteredModel.objects.values_list("signals", "extracted")
    ]
    started = time.perf_counter()
    categorizer = Categorizer(rules)
    decided = [decide(signals, inputs, outputs, categorizer) for signals, inputs, outputs in read]
    deciding = time.perf_counter() - started
    started = time.perf_counter()
    trial = categorization.try_out(rules)
    trying = time.perf_counter() - started
    assert len(decided) == trial.models == count
    print(
        f"deciding {count:,} models by 200 rules   {deciding:6.2f} s   (at most {DECIDE_SECONDS})"
    )
    print(
        f"trying 200 rules over a registry of them  {trying:6.2f} s   (at most {TRY_SECONDS}),"
        f" {trial.changed:,} would change"
    )
    return 0 if deciding <= DECIDE_SECONDS and trying <= TRY_SECONDS else 1


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="karen-rules-") as folder:
        for name in ("DATA", "LOGS", "CONFIG", "MODELS"):
            os.environ[f"KAREN_{name}_DIR"] = f"{folder}/{name.lower()}"
        os.environ.pop("DATABASE_URL", None)
        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "karen_admin.settings")
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
