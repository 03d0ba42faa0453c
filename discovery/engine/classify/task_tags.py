"""The Hub's task tags: the inputs and outputs of each, and the capability that it means.

Source: https://huggingface.co/tasks and ``pipeline_tag`` of
https://huggingface.co/docs/hub/model-cards.
"""

from __future__ import annotations

from typing import NamedTuple


class Task(NamedTuple):
    """``modalities`` as ``IN,IN>OUT``; ``capability`` of the contract, ``None`` where there is
    none.
    """

    modalities: str
    capability: str | None


TASKS: dict[str, Task] = {
    "text-generation": Task("TEXT>TEXT", "GENERATION"),
    "text2text-generation": Task("TEXT>TEXT", "GENERATION"),
    "conversational": Task("TEXT>TEXT", "CHAT"),
    "fill-mask": Task("TEXT>", None),
    "feature-extraction": Task("TEXT>", "EMBEDDING"),
    "sentence-similarity": Task("TEXT>", "EMBEDDING"),
    "text-ranking": Task("TEXT>", "RERANKING"),
    "text-classification": Task("TEXT>", "CLASSIFICATION"),
    "zero-shot-classification": Task("TEXT>", "CLASSIFICATION"),
    "token-classification": Task("TEXT>", "CLASSIFICATION"),
    "question-answering": Task("TEXT>TEXT", "CLASSIFICATION"),
    "table-question-answering": Task("TEXT>TEXT", "CLASSIFICATION"),
    "translation": Task("TEXT>TEXT", "TRANSLATION"),
    "summarization": Task("TEXT>TEXT", "SUMMARIZATION"),
    "image-classification": Task("IMAGE>", "CLASSIFICATION"),
    "zero-shot-image-classification": Task("TEXT,IMAGE>", "CLASSIFICATION"),
    "object-detection": Task("IMAGE>", "CLASSIFICATION"),
    "zero-shot-object-detection": Task("TEXT,IMAGE>", "CLASSIFICATION"),
    "image-segmentation": Task("IMAGE>", "CLASSIFICATION"),
    "mask-generation": Task("IMAGE>", "CLASSIFICATION"),
    "depth-estimation": Task("IMAGE>", "CLASSIFICATION"),
    "keypoint-detection": Task("IMAGE>", "CLASSIFICATION"),
    "image-feature-extraction": Task("IMAGE>", "EMBEDDING"),
    "image-to-text": Task("IMAGE>TEXT", "VISION"),
    "image-text-to-text": Task("TEXT,IMAGE>TEXT", "VISION"),
    "visual-question-answering": Task("TEXT,IMAGE>TEXT", "VISION"),
    "document-question-answering": Task("TEXT,IMAGE>TEXT", "VISION"),
    "visual-document-retrieval": Task("TEXT,IMAGE>", "EMBEDDING"),
    "video-text-to-text": Task("TEXT,VIDEO>TEXT", "VISION"),
    "video-classification": Task("VIDEO>", "CLASSIFICATION"),
    "text-to-image": Task("TEXT>IMAGE", "IMAGE_GENERATION"),
    "image-to-image": Task("IMAGE>IMAGE", "IMAGE_GENERATION"),
    "unconditional-image-generation": Task(">IMAGE", "IMAGE_GENERATION"),
    "text-to-video": Task("TEXT>VIDEO", "VIDEO_GENERATION"),
    "image-to-video": Task("IMAGE>VIDEO", "VIDEO_GENERATION"),
    "text-to-3d": Task("TEXT>IMAGE", "IMAGE_GENERATION"),
    "image-to-3d": Task("IMAGE>IMAGE", "IMAGE_GENERATION"),
    "automatic-speech-recognition": Task("AUDIO>TEXT", "TRANSCRIPTION"),
    "audio-classification": Task("AUDIO>", "CLASSIFICATION"),
    "voice-activity-detection": Task("AUDIO>", "CLASSIFICATION"),
    "audio-to-audio": Task("AUDIO>AUDIO", "SPEECH"),
    "text-to-speech": Task("TEXT>AUDIO", "SPEECH"),
    "text-to-audio": Task("TEXT>AUDIO", "SPEECH"),
    "audio-text-to-text": Task("TEXT,AUDIO>TEXT", "TRANSCRIPTION"),
    "any-to-any": Task("TEXT,IMAGE,AUDIO>TEXT,AUDIO", "GENERATION"),
}
