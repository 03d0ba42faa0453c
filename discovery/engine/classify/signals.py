"""What categories and capabilities are decided by, collected while a model is read.

Kept with the model, so that rules can change without reading it again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from discovery.engine.classify.model_types import SERIES
from discovery.engine.core.paths import to_text
from discovery.engine.core.text import clean, strings
from discovery.engine.core.word_parts import sequence, without_negations, words
from discovery.engine.memory import AttentionShape, shape_from_config
from discovery.engine.sidecars import model_config
from discovery.engine.sidecars.card_fields import bases

MAX_FILES = 120

#: ``video_token_id``, ``video_token_index``, ``video_pad_token_id`` and what else it is called.
_FILM_TOKEN = re.compile(r"video_(?:\w{1,20}_)?token")

#: Keys of networks that read series: how far they look ahead, how long a piece is.
_HORIZONS = (
    "prediction_length", "pred_len", "forecast_horizon", "horizon_length", "patch_len",
)  # fmt: skip
#: Classes of networks that forecast.
_FORECASTS = re.compile(r"For(?:Prediction|Forecasting)$|TimeSeries|Chronos|TimesFm|Moirai")

#: Where a word may stand, and how much it counts there.
PLACES = {
    "name": 4.0,
    "tags": 3.0,
    "base model": 2.0,
    "title": 2.0,
    "folder": 2.0,
    "description": 1.5,
    "card": 0.5,
}
#: Where configs keep the halves of a model.
_HALVES = (
    *model_config.TEXT_CONFIGS,
    *model_config.VISION_CONFIGS,
    *model_config.AUDIO_CONFIGS,
)
#: Halves that speak.
_VOICE_CONFIGS = ("tts_config", "talker_config", "code2wav_config", "token2wav_config")
VOICES = tuple(f"config:{key}" for key in _VOICE_CONFIGS)
#: Places where sentences stand, which may deny what they name.
PROSE = frozenset({"title", "description", "card"})


@dataclass(frozen=True, slots=True)
class Signals:
    """What rules decide by: the model's structure first, then words by place.

    ``features`` holds facts of configs, tensors and inputs, each with where it was found.
    """

    architectures: tuple[str, ...] = ()
    model_types: tuple[str, ...] = ()
    pipeline_tags: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    features: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, Sequence[str]] = field(default_factory=dict)
    phrases: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        lists = {
            name: list(getattr(self, name))
            for name in ("architectures", "model_types", "pipeline_tags", "tags", "files")
        }
        return {
            **lists,
            "marks": dict(self.features),
            "words": dict(self.words),
            "phrases": dict(self.phrases),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Signals:
        lists = {
            name: tuple(data.get(name, ()))
            for name in ("architectures", "model_types", "pipeline_tags", "tags", "files")
        }
        return cls(
            **lists,
            features=data.get("marks", {}),
            words=data.get("words", {}),
            phrases=data.get("phrases", {}),
        )


@dataclass(frozen=True, slots=True)
class ConfigClues:
    """What a Transformers or Diffusers config contains, wherever its file is: classes, types, and
    the parts for vision, audio and speech.
    """

    architectures: tuple[str, ...]
    is_reward: bool
    model_types: tuple[str, ...]
    task: str | None
    features: tuple[str, ...]
    base: Any
    shape: AttentionShape | None


def clues_of(config: Mapping[str, Any]) -> ConfigClues:
    named = config.get("architectures")
    classes = [
        item
        for item in (*(named if isinstance(named, list) else [named]), config.get("_class_name"))
        if isinstance(item, str) and item
    ]
    is_timm = model_config.is_timm(config)
    kinds: list[Any] = [config.get("model_type") or None, "timm_wrapper" if is_timm else None]
    halves = (config.get(half) for half in _HALVES)
    kinds += [half.get("model_type") for half in halves if isinstance(half, dict)]
    return ConfigClues(
        architectures=tuple(clean(item, 120) for item in classes),
        is_reward=any("Reward" in item[:120] for item in classes),
        model_types=tuple(clean(kind, 80) for kind in kinds if isinstance(kind, str)),
        task=_timm_task(config) if is_timm else None,
        features=tuple(_features_of(config)),
        base=config.get("_name_or_path"),
        shape=shape_from_config(config),
    )


class SignalCollector:
    """Collects signals while a model is read."""

    def __init__(self) -> None:
        self.architectures: dict[str, None] = {}
        self.model_types: dict[str, None] = {}
        self.pipeline_tags: dict[str, None] = {}
        self.tags: dict[str, None] = {}
        self.files: dict[str, None] = {}
        self.features: dict[str, str] = {}
        self.texts: dict[str, list[str]] = {}
        self.shape: AttentionShape | None = None
        self.projector_bytes = 0
        #: What the weight file's format is made for; the card's own word outranks it.
        self.task: str | None = None

    def add_feature(self, name: str, where: str) -> None:
        self.features.setdefault(name, where)

    def text(self, place: str, text: Any) -> None:
        if isinstance(text, str) and text:
            self.texts.setdefault(place, []).append(text)

    def config(self, config: Mapping[str, Any], source: str) -> None:
        self.take(clues_of(config), source)

    def take(self, told: ConfigClues, source: str) -> None:
        """Add the clues of the config at ``source``."""
        for name in told.architectures:
            self.architectures.setdefault(name)
        if told.is_reward:
            self.add_feature("reward", f"{source} architectures")
        for kind in told.model_types:
            self.model_types.setdefault(kind)
        if told.task:
            self.pipeline_tags.setdefault(told.task)
        for name in told.features:
            self.add_feature(name, source)
        self.text("base model", told.base)
        self.shape = self.shape or told.shape

    def memory_shape(self) -> dict[str, Any]:
        """What memory is computed from, as JSON; empty where neither config nor header describe the
        layers.
        """
        shape = {"shape": self.shape.to_json()} if self.shape else {}
        return shape | ({"projector_bytes": self.projector_bytes} if self.projector_bytes else {})

    def card(self, front: Mapping[str, Any], title: str | None, prose: str) -> None:
        for tag in strings(front.get("pipeline_tag")):
            self.pipeline_tags.setdefault(tag.lower())
        for tag in strings(front.get("tags")):
            self.tags.setdefault(tag.lower())
        for base in bases(front):
            self.text("base model", base)
        library = front.get("library_name")
        if isinstance(library, str):
            self.add_feature(f"library:{clean(library.lower(), 60)}", "README.md library_name")
        self.text("title", title)
        self.text("card", prose)

    def finish(
        self, name: str, path: str, description: Any, tags: Any, files: Iterable[str]
    ) -> Signals:
        if self.task and not self.pipeline_tags:
            self.pipeline_tags.setdefault(self.task)
        elif self.pipeline_tags:
            self.features.pop("header_task", None)
        self.text("name", name)
        self.text("folder", path.rpartition("/")[0])
        self.text("description", description)
        for tag in strings(tags):
            self.tags.setdefault(tag.lower())
        self.text("tags", " ; ".join(self.tags))
        told = {
            place: without_negations(" \n ".join(texts)) if place in PROSE else " \n ".join(texts)
            for place, texts in self.texts.items()
        }
        return Signals(
            architectures=tuple(self.architectures)[:8],
            model_types=tuple(self.model_types)[:8],
            pipeline_tags=tuple(self.pipeline_tags)[:4],
            tags=tuple(self.tags)[:60],
            files=tuple(dict.fromkeys(map(to_text, files)))[:MAX_FILES],
            features=dict(self.features),
            words={place: words(text) for place, text in told.items()},
            phrases={place: sequence(text) for place, text in told.items()},
        )


def _timm_task(config: Mapping[str, Any]) -> str:
    """Labels, or what the layers before them have made out where those were cut off."""
    return "image-classification" if config.get("num_classes") else "image-feature-extraction"


def _reads_series(config: Mapping[str, Any]) -> bool:
    """Whether it forecasts: numbers over time, that its class may call tokens."""
    named = config.get("architectures")
    classes = named if isinstance(named, list) else []
    return (
        str(config.get("model_type")) in SERIES
        or isinstance(config.get("chronos_config"), dict)
        or any(key in config for key in _HORIZONS)
        or any(isinstance(name, str) and _FORECASTS.search(name[:120]) for name in classes)
    )


def _features_of(config: Mapping[str, Any]) -> list[str]:
    found = [
        f"config:{key}"
        for key in (
            *model_config.VISION_CONFIGS,
            *model_config.AUDIO_CONFIGS,
            *model_config.TEXT_CONFIGS,
            *_VOICE_CONFIGS,
        )
        if isinstance(config.get(key), dict)
    ]
    told = (
        "image_size", "patch_size", "num_channels", "image_token_id", "image_token_index",
        "vision_start_token_id", "mm_vision_tower", "vision_tower", "audio_token_id",
        "audio_token_index", "num_mel_bins", "sample_rate",
        "sampling_rate", "conv_kernel", "vocab_size", "projection_dim", "num_codebooks",
        "upsample_rates", "query_num", "visual", "num_frames", "num_mels", "n_mels", "istftnet",
        "n_token",
    )  # fmt: skip
    if any(_FILM_TOKEN.match(key) and config[key] is not None for key in config):
        found.append("key:video_token_id")
    if _reads_series(config):
        found.append("series")
    if model_config.is_draft(config):
        found.append("part")
    if isinstance(config.get("sentence_transformers"), dict):  # only a CrossEncoder keeps its own
        found.append("cross_encoder")
    found += [f"key:{key}" for key in told if config.get(key) not in (None, [], {}, 0, False)]
    return found
