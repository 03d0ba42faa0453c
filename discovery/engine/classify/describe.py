"""Derives the remaining fields from what was read.

Categories by rule, capabilities, family, relation to a base model, the license's usual name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from discovery.engine.classify.categorize import Categorizer, Verdict
from discovery.engine.classify.signals import Signals
from discovery.engine.classify.task_tags import TASKS
from discovery.engine.core.types import Evidence, Found, Value
from discovery.engine.core.vocabulary import CAPABILITIES

RULES_SOURCE = "rules"

#: What a model that gives scores or vectors cannot do, though its class and template could.
_WRITTEN = frozenset({"CHAT", "GENERATION", "TOOL_USE"})

#: Whole words of names.
_RANKERS = frozenset({"reranker", "rerank", "reranking", "crossencoder"})
_EMBEDDERS = frozenset({"embedding", "embeddings", "embedder", "embed"})
#: Classes that give vectors.
_VECTORS = re.compile(
    r"Embed|ForRetrieval$|^Col(?:Pali|Qwen|BERT|Bert|Idefics|Smol)|^HF_ColBERT$|"
    r"^DPR(?:Context|Question)Encoder|^GritLM"
)
_UNTAUGHT = frozenset({"base", "pt", "pretrain", "pretrained", "foundation"})
_TAUGHT = frozenset({"chat", "instruct", "it", "sft", "dpo", "rlhf", "assistant"})

_GENERATES = re.compile(r"CausalLM$|LMHead|ConditionalGeneration$|Seq2Seq")
_CLASSIFIES = re.compile(
    r"For(Sequence|Token|Image|Audio|Video)\w*Classification$|For(ObjectDetection|\w*Segmentation|"
    r"QuestionAnswering)$|Classifier$|(Detection|Segmentation)Model$"
)
_TRANSLATES = re.compile(r"^(marian|m2m_100|nllb|mbart|seamless|opus)")


def categorized(found: Found, categorizer: Categorizer) -> Found:
    """``found`` with categories, capabilities and their evidence.

    What metadata.json states is left as it is.
    """
    signals = Signals.from_json(found.signals)
    values = dict(found.values)
    inputs, outputs = (
        _listed(values, "input_modalities", "modalities"),
        _listed(values, "output_modalities"),
    )
    decided, evidence = decide(signals, inputs, outputs, categorizer)
    for name, value in decided.items():
        if name not in values:
            values[name] = Value(value, RULES_SOURCE)
    return replace(found, values=values, evidence={**found.evidence, **evidence})


def decide(
    signals: Signals, inputs: Iterable[str], outputs: Iterable[str], categorizer: Categorizer
) -> tuple[dict[str, Any], dict[str, tuple[Evidence, ...]]]:
    """({field: value}, {axis: evidence}) for categories and capabilities; fields without a verdict
    are left out.
    """
    inputs, outputs = tuple(inputs), tuple(outputs)
    verdicts = categorizer.verdicts(signals, inputs, outputs)
    if verdicts["secondary"].value == "CHAT" and is_base(signals):
        verdicts["secondary"] = Verdict(None)
    values: dict[str, Any] = {
        axis: verdict.value for axis, verdict in verdicts.items() if verdict.value
    }
    able = capabilities(signals, set(inputs), set(outputs), values.get("secondary"))
    if able:
        values["capabilities"] = able
    return values, {axis: verdict.evidence for axis, verdict in verdicts.items()}


def capabilities(
    signals: Signals, inputs: set[str], outputs: set[str], secondary: str | None
) -> list[str]:
    features, classes = signals.features, signals.architectures
    if "part" in features:  # it sees or guesses ahead for another model, and says nothing alone
        return []
    tasks = [
        task.capability
        for tag in signals.pipeline_tags
        if (task := TASKS.get(tag)) and task.capability
    ]
    ranks, rewards = _ranks(signals), _rewards(signals)
    embeds = _embeds(signals) and not outputs & {"IMAGE", "VIDEO"}
    writes = not (ranks or rewards or embeds)
    generates = any(_GENERATES.search(name) for name in classes) or (
        bool(signals.model_types) and not classes and outputs == {"TEXT"}
    )
    has = {
        "CHAT": not is_base(signals) and ("chat_template" in features or secondary == "CHAT"),
        "CODE": secondary == "CODE",
        "REASONING": secondary == "REASONING",
        "EMBEDDING": (
            embeds or any(kind in ("clip", "siglip", "clap") for kind in signals.model_types)
        ),
        "GENERATION": generates and "TEXT" in inputs and "TEXT" in outputs,
        "CLASSIFICATION": (
            rewards
            or "library:setfit" in features
            or any(_CLASSIFIES.search(name) for name in classes)
        ),
        "TRANSLATION": any(_TRANSLATES.search(kind) for kind in signals.model_types),
        "SUMMARIZATION": "summarization" in signals.tags,
        "TOOL_USE": "tools" in features,
        "VISION": bool(inputs & {"IMAGE", "VIDEO"}) and "TEXT" in outputs,
        "TRANSCRIPTION": "AUDIO" in inputs and "TEXT" in outputs and "TEXT" not in inputs,
        "SPEECH": "AUDIO" in outputs,
        "IMAGE_GENERATION": "IMAGE" in outputs,
        "VIDEO_GENERATION": "VIDEO" in outputs,
        "RERANKING": ranks,
    }
    return [
        name
        for name in CAPABILITIES
        if (has[name] or name in tasks) and (writes or name not in _WRITTEN)
    ]


def is_base(signals: Signals) -> bool:
    """Whether the name says that nobody has taught the model to answer yet."""
    named = set(signals.words.get("name", ()))
    return bool(named & _UNTAUGHT) and not named & _TAUGHT


def _ranks(signals: Signals) -> bool:
    """One score for a question and a text."""
    return (
        bool({"ranking", "cross_encoder"} & signals.features.keys())
        or "text-ranking" in signals.pipeline_tags
        or bool(_RANKERS & set(signals.words.get("name", ())))
        or " cross encoder " in signals.phrases.get("name", "")
    )


def _rewards(signals: Signals) -> bool:
    """One score for an answer: what another model is trained by."""
    named = set(signals.words.get("name", ()))
    scores = any(_CLASSIFIES.search(name) for name in signals.architectures)
    return (
        "reward" in named
        or "reward" in signals.features
        or (scores and bool(named & {"rm", "prm", "orm"}))
    )


def _embeds(signals: Signals) -> bool:
    """Vectors, whatever class the model has."""
    return (
        bool({"sentence_transformers", "pooling"} & signals.features.keys())
        or bool(_EMBEDDERS & set(signals.words.get("name", ())))
        or any(map(_VECTORS.search, signals.architectures))
    )


def _listed(values: Mapping[str, Value], *names: str) -> list[str]:
    for name in names:
        if name in values and isinstance(values[name].value, list):
            return [item for item in values[name].value if isinstance(item, str)]
    return []


#: Spellings of well-known licences → their SPDX identifier, in the lowercase that cards use.
_LICENSES = {
    "apache license 2.0": "apache-2.0", "apache license version 2.0": "apache-2.0",
    "apache 2.0": "apache-2.0", "apache2.0": "apache-2.0",
    "apache-2": "apache-2.0", "apache license": "apache-2.0", "mit license": "mit",
    "the mit license": "mit", "bsd-3": "bsd-3-clause",
    "apache software license": "apache-2.0", "mozilla public license 2.0 mpl 2.0": "mpl-2.0",
    "bsd 3-clause": "bsd-3-clause", "gplv3": "gpl-3.0", "gpl-3": "gpl-3.0", "gnu gpl v3": "gpl-3.0",
    "agplv3": "agpl-3.0", "lgplv3": "lgpl-3.0",
    "cc by 4.0": "cc-by-4.0", "cc-by-4": "cc-by-4.0", "cc by-sa 4.0": "cc-by-sa-4.0",
    "cc by-nc 4.0": "cc-by-nc-4.0",
    "cc by-nc-sa 4.0": "cc-by-nc-sa-4.0", "cc0": "cc0-1.0", "the unlicense": "unlicense",
}  # fmt: skip


def license_name(text: str) -> str:
    """The SPDX identifier if the words are a spelling of one, otherwise the words unchanged."""
    plain = " ".join(text.lower().replace(",", " ").replace("(", " ").replace(")", " ").split())
    return _LICENSES.get(plain) or (
        plain
        if re.fullmatch(r"[a-z][\w.+]*(-[\w.+]+)+|mit|unlicense|wtfpl|zlib|isc", plain)
        else text
    )


def family(model_type: str | None) -> str | None:
    """``qwen2_5_vl`` → qwen, ``gemma3_text`` → gemma: the letters a model type begins with."""
    match = re.match(r"[a-z]{2,}", (model_type or "").lower())
    return match[0] if match else None


def relation(quantized: bool, adapter: bool, tags: Iterable[str], bases: int) -> str:
    """How a model relates to the base model it names."""
    if adapter:
        return "adapter"
    if bases > 1 or {"merge", "mergekit"} & set(tags):
        return "merge"
    return "quantized" if quantized else "finetune"
