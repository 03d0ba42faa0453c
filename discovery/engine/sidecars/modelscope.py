"""``configuration.json``, in which ModelScope says what a model is for.

Source: ``Tasks`` in ``modelscope/utils/constant.py``; where its name of a task is not that of the
Hub, it is translated.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAME = "configuration.json"

#: ModelScope's task → the Hub's.
_TASKS = {
    "auto-speech-recognition": "automatic-speech-recognition",
    "speech-recognition": "automatic-speech-recognition",
    "speaker-verification": "audio-classification",
    "speaker-diarization": "audio-classification",
    "keyword-spotting": "audio-classification",
    "acoustic-noise-suppression": "audio-to-audio",
    "speech-separation": "audio-to-audio",
    "chat": "text-generation",
    "punctuation": "token-classification",
    "word-segmentation": "token-classification",
    "named-entity-recognition": "token-classification",
    "sentence-embedding": "sentence-similarity",
    "text-to-image-synthesis": "text-to-image",
    "text-to-video-synthesis": "text-to-video",
    "ocr-recognition": "image-to-text",
    "ocr-detection": "object-detection",
    "image-captioning": "image-to-text",
    "image-object-detection": "object-detection",
    "domain-specific-object-detection": "object-detection",
    "face-detection": "object-detection",
    "human-detection": "object-detection",
    "face-recognition": "image-feature-extraction",
    "portrait-matting": "image-segmentation",
    "image-super-resolution": "image-to-image",
    "image-portrait-enhancement": "image-to-image",
    "image-portrait-stylization": "image-to-image",
    "image-colorization": "image-to-image",
    "multi-modal-embedding": "zero-shot-image-classification",
}


def task(config: Mapping[str, Any]) -> str | None:
    """The Hub's tag for what ``config`` says the model does."""
    told = config.get("task")
    return _TASKS.get(told, told) if isinstance(told, str) else None
