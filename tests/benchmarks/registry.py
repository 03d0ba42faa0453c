"""A registry of any size, made up but life-like: ``python tests/benchmarks/registry.py 100000``
fills the database of ``KAREN_DATA_DIR``.

The rows are as fat as scanned ones, resolved by the same code, and the same for the same count.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from hashlib import blake2b
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "karen_admin.settings")
    import django

    django.setup()

from django.contrib.auth.models import Group
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone

from discovery.engine.identify.document import needed
from discovery.engine.integrity.checks import CHECKS
from discovery.models import Collection, Finding, RegisteredModel, Root, ScanRun, Visibility
from discovery.services.findings import findings
from discovery.services.registry import tags
from discovery.services.registry.records import resolve

BATCH = 1_000
ROOTS = ("/srv/models", "/mnt/nas/models", "/data/hub", "/data/experiments")
LICENSES = ("apache-2.0", "mit", "llama3.1", "gemma", "cc-by-nc-4.0", "openrail", "other", None)
AUTHORS = (
    "meta-llama",
    "mistralai",
    "Qwen",
    "google",
    "BAAI",
    "openai",
    "stabilityai",
    "bartowski",
    "TheBloke",
    "our-lab",
)
DOMAINS = ("GENERAL", "MEDICAL", "LEGAL", "TECHNICAL", "SCIENTIFIC")
TAGS = (
    "prod",
    "old",
    "to review",
    "baseline",
    "team:search",
    "team:support",
    "gguf",
    "pytorch",
    "finetuned",
    "日本語",
    "customer A",
    "nightly",
)
LANGUAGES = (["en"], ["en", "de"], ["ja"], ["en", "fr", "es", "ar"], [])
QUANTIZATIONS = (("Q4_K_M", 4.8), ("Q5_K_M", 5.7), ("Q8_0", 8.5))
WORDS = (
    "a general model",
    "trained on support conversations",
    "distilled for phones",
    "made for retrieval",
    "with a long context",
    "for experiments",
)


class Kind(NamedTuple):
    family: str
    architecture: str
    type: str
    format: str
    primary: str
    uses: tuple[str, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    capabilities: tuple[str, ...]
    billions: tuple[float, ...]
    context: int | None


KINDS = (
    Kind("llama", "LlamaForCausalLM", "TRANSFORMERS", "safetensors", "LANGUAGE", ("CHAT", "CODE"),
        ("TEXT",), ("TEXT",),
         ("CHAT", "GENERATION", "TOOL_USE"), (1.2, 3.2, 8.0, 70.6), 131_072),
    Kind("llama", "llama", "LLAMA_CPP", "gguf", "LANGUAGE", ("CHAT", "REASONING"), ("TEXT",),
        ("TEXT",), ("CHAT", "GENERATION"), (8.0, 70.6), 32_768),
    Kind("qwen", "Qwen2ForCausalLM", "TRANSFORMERS", "safetensors", "LANGUAGE",
        ("CODE", "REASONING"), ("TEXT",), ("TEXT",),
         ("CHAT", "CODE", "GENERATION"), (0.5, 7.6, 32.8), 32_768),
    Kind("mistral", "MistralForCausalLM", "TRANSFORMERS", "safetensors", "LANGUAGE",
        ("CHAT", "CREATIVE"), ("TEXT",), ("TEXT",),
         ("CHAT", "GENERATION"), (7.2, 46.7), 32_768),
    Kind("bert", "BertModel", "SENTENCE_TRANSFORMERS", "safetensors", "LANGUAGE", ("ANALYSIS",),
        ("TEXT",), ("TEXT",),
         ("EMBEDDING",), (0.03, 0.11), 512),
    Kind("clip", "CLIPModel", "ONNX", "onnx", "MULTIMODAL", ("ANALYSIS",), ("IMAGE", "TEXT"),
        ("TEXT",), ("CLASSIFICATION", "VISION"), (0.43,), 77),
    Kind("whisper", "WhisperForConditionalGeneration", "TRANSFORMERS", "pytorch", "AUDIO",
        ("ANALYSIS",), ("AUDIO",), ("TEXT",),
         ("TRANSCRIPTION",), (0.07, 0.24, 1.5), 448),
    Kind("flux", "FluxPipeline", "DIFFUSERS", "safetensors", "VISION", ("CREATIVE",), ("TEXT",),
        ("IMAGE",),
         ("IMAGE_GENERATION",), (2.6, 11.9), None),
)  # fmt: skip


def fill(count: int) -> None:
    """Creates ``count`` models with their roots, groups, collections, tags and findings, beside
    what is there.
    """
    roots = [
        Root.objects.get_or_create(path=path, defaults={"last_scan_at": timezone.now()})[0]
        for path in ROOTS
    ]
    groups = [Group.objects.get_or_create(name=name)[0] for name in ("researchers", "clinic")]
    collections = [
        Collection.objects.get_or_create(name=name)[0]
        for name in ("In production", "Candidates", "Archive")
    ]
    collections[0].groups.add(groups[1])
    run = ScanRun.objects.create(
        state=ScanRun.State.DONE,
        trigger=ScanRun.Trigger.COMMAND,
        found=count,
        new=count,
        finished_at=timezone.now(),
    )
    first = RegisteredModel.objects.count()
    for start in range(first, first + count, BATCH):
        records = [
            _model(number, roots, run) for number in range(start, min(start + BATCH, first + count))
        ]
        with transaction.atomic():
            RegisteredModel.objects.bulk_create(records)
            tags.sync(records)
            findings.after_scan(records)
            _share(records, groups, collections)


def _model(number: int, roots: Sequence[Root], run: ScanRun) -> RegisteredModel:
    chance = Random(number)
    kind = chance.choice(KINDS)
    billions = chance.choice(kind.billions)
    ending = chance.choice(("base", "instruct", "chat", "ft", "distill"))
    name = f"{kind.family}-{billions:g}b-{ending}-{number:06d}"
    path = f"{kind.primary.lower()}/{chance.choice(AUTHORS)}/{name}"
    now = timezone.now() - timedelta(minutes=chance.randrange(500_000))
    record = RegisteredModel(
        model_id=name, root=roots[min(int(chance.expovariate(1)), len(roots) - 1)], path=path,
        place=path, name=name, added_at=now, changed_at=now,
        modified_at=now - timedelta(days=chance.randrange(400)), validated_at=now, added_in=run,
        signature=_hash(f"signature {path}"), content=_hash(f"content {path}"),
        # One in fifty is a copy of another one.
        fingerprint=_hash(f"fingerprint {number - 1 if number % 50 == 49 else number}"),
        visibility=chance.choices((Visibility.PUBLIC, Visibility.RESTRICTED, Visibility.ADMIN_ONLY),
            (5, 4, 1))[0],
        visibility_source="person",
    )  # fmt: skip
    record.extracted = {
        field: {"value": value, "source": source}
        for field, (value, source) in _facts(kind, billions, chance).items()
    }
    if number % 11 == 0:
        record.curated = {"license": {"value": "mit", "by": "anna", "at": now.isoformat()}}
    _weights(record, kind, billions)
    record.problems = _problems(record, chance)
    record.status = record.scanned_status = {
        "": "READY",
        "shards_missing": "INCOMPLETE",
        "invalid_header": "CORRUPT",
        "unsafe_import": "UNSAFE",
    }[record.problems[0]["code"] if record.problems else ""]
    if number % 97 == 96:
        record.status, record.missing_since = "MISSING", now
    record.checks = [
        {"name": check, "status": "passed", "message": f"{words}: nothing is wrong", "path": ""}
        for check, words in ((each.name, each.label) for each in CHECKS.values())
    ]
    evidence = {
        "rule": "text → text",
        "matched": kind.architecture,
        "where": "config.json architectures",
        "weight": 10.0,
    }
    record.evidence = {
        "modalities": [evidence],
        "primary": [evidence],
        "secondary": [evidence],
        "specialization": [],
    }
    words = path.replace("/", "-").split("-")
    record.signals = {
        "architectures": [kind.architecture], "model_types": [kind.family], "pipeline_tags": [],
        "tags": [],
        "files": [path for path, _ in record.files],
        "marks": {"key:vocab_size": "config.json"},
        "words": dict.fromkeys(("title", "card", "name"), words * 3),
        "phrases": dict.fromkeys(("title", "card", "name"), " ".join(words * 3)),
    }  # fmt: skip
    resolve(record)
    return record


def _facts(kind: Kind, billions: float, chance: Random) -> dict[str, tuple[Any, str]]:
    license_, config, rules = chance.choice(LICENSES), "config.json", "rules"
    facts: dict[str, tuple[Any, str]] = {
        "type": (kind.type, "files"), "format": (kind.format, "files"),
        "architecture": (kind.architecture, config),
        "model_family": (kind.family, "model type"),
        "parameter_count": (int(billions * 1e9), "tensors"), "embedding_length": (4096, config),
        "layer_count": (32, config), "vocab_size": (128_256, config),
        "modalities": (sorted({*kind.inputs, *kind.outputs}), config),
        "input_modalities": (list(kind.inputs), config),
        "output_modalities": (list(kind.outputs), config), "primary": (kind.primary, rules),
        "secondary": (chance.choice(kind.uses), rules),
        "capabilities": (list(kind.capabilities), rules),
        "specialization": (chance.choices(DOMAINS, (12, 2, 1, 2, 1))[0], rules),
        "author": (chance.choice(AUTHORS), "README.md"),
        "tags": (chance.sample(TAGS, chance.randrange(5)), "README.md"),
        "language_support": (chance.choice(LANGUAGES), "README.md"),
        "description": (f"{kind.family.capitalize()}, {', '.join(chance.sample(WORDS, 3))}.",
            "README.md"),
    }  # fmt: skip
    if kind.context:
        facts["context_length"] = (kind.context, config)
    if license_:
        facts["license"] = (license_, "README.md")
    if kind.format != "gguf":
        facts["dtype"] = (chance.choice(("BF16", "F16", "F32")), "tensors")
    return {field: fact for field, fact in facts.items() if fact[0] != []}


def _weights(record: RegisteredModel, kind: Kind, billions: float) -> None:
    """Its variants, files, size and memory need."""
    plain = (("BF16", 16.0),)
    for name, bits in QUANTIZATIONS if kind.format == "gguf" else plain:
        size = int(billions * 1e9 * bits / 8)
        shards = min(size // 5_000_000_000 + 1, 30)
        files = [
            f"{record.path}/{name}-{part:05d}-of-{shards:05d}.{kind.format}"
            for part in range(1, shards + 1)
        ]
        record.variants.append(
            {"name": name, "path": files[0], "format": kind.format, "status": "READY",
                "size_bytes": size, "bits_per_weight": bits,
             "quantization": name if kind.format == "gguf" else None,
             "dtype": None if kind.format == "gguf" else name,
             "parameter_count": int(billions * 1e9), "weights_bytes": size, "files": files}
        )  # fmt: skip
        record.files += [[path, size // shards] for path in files]
    record.files += [
        [f"{record.path}/{name}", 2_000]
        for name in ("README.md", "config.json", "tokenizer.json", "tokenizer_config.json")
    ]
    if kind.context:
        layers = {
            "kind": "full",
            "layers": 32,
            "kv_heads": 8,
            "key_length": 128,
            "value_length": 128,
        }
        shape = {
            "layer_count": 32,
            "embedding_length": 4096,
            "feed_forward_length": 14_336,
            "vocab_size": 128_256,
            "max_context": kind.context,
        }
        record.memory_shape = {"shape": {**shape, "groups": [layers]}}
    record.size_bytes, record.file_count = sum(size for _, size in record.files), len(record.files)
    record.memory_bytes = needed(record.variants[0], record.memory_shape).total_bytes


def _problems(record: RegisteredModel, chance: Random) -> list[dict[str, Any]]:
    code, message = chance.choices(
        (("", ""), ("shards_missing", "1 weight file of 3 is missing"),
            ("invalid_header", "the header is cut off at byte 128"),
         ("unsafe_import", "loading the pickle would call os.system")), (94, 3, 2, 1)
    )[0]  # fmt: skip
    return (
        [
            {
                "code": code,
                "message": message,
                "path": record.files[0][0],
                "severity": "error",
                "offset": None,
            }
        ]
        if code
        else []
    )


def _share(
    records: Sequence[RegisteredModel], groups: Sequence[Group], collections: Sequence[Collection]
) -> None:
    group_links, collection_links = (
        RegisteredModel.groups.through,
        RegisteredModel.collections.through,
    )
    group_links.objects.bulk_create(
        group_links(registeredmodel=each, group=groups[each.pk % 2])
        for each in records
        if each.pk % 3 == 0
    )
    collection_links.objects.bulk_create(
        collection_links(registeredmodel=each, collection=collections[each.pk % 3])
        for each in records
        if each.pk % 20 < 3
    )


def _hash(text: str) -> str:
    return blake2b(text.encode(), digest_size=16).hexdigest()


if __name__ == "__main__":
    started = time.perf_counter()
    call_command("migrate", verbosity=0)
    fill(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
    print(
        f"{RegisteredModel.objects.count():,} models, {Finding.objects.count():,} findings,"
        f" {time.perf_counter() - started:.1f} s"
    )
