"""What a GGUF file holds: a whole model, or something that is added to one.

``general.type`` decides, then ``general.architecture``, then the names of the tensors. Sources:
``GGUFType`` and ``MODEL_ARCH`` of llama.cpp's gguf-py, the converters of stable-diffusion.cpp and
ComfyUI-GGUF.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from discovery.engine.classify.signals import SignalCollector
from discovery.engine.core.text import clean
from discovery.engine.core.types import Tensor
from discovery.engine.core.vocabulary import ModelType
from discovery.engine.identify import adapters, tensor_clues


class Kind(StrEnum):
    MODEL = "model"
    ADAPTER = "adapter"
    CONTROL = "control vector"
    DRAFT = "draft head"
    PROJECTOR = "projector"
    PAINTER = "diffusion model"
    ENCODER = "encoder"
    VOCABULARY = "vocabulary"


_TYPES = {
    "adapter": Kind.ADAPTER,
    "vocab": Kind.VOCABULARY,
    "controlvector": Kind.CONTROL,
    "mmproj": Kind.PROJECTOR,
}

_PAINTERS = frozenset({
    "flux", "flux2", "chroma", "sd1", "sd2", "sd3", "sdxl", "aura", "hidream", "lumina2",
    "pixart", "qwen_image", "z_image", "omnigen", "kolors", "sana", "ernie_image", "pig",
    "stable_diffusion", "unet",
})  # fmt: skip
_FILMERS = frozenset({
    "wan", "ltxv", "ltx2", "hyvid", "hunyuan_video", "cosmos", "mochi", "cogvideox",
    "skyreels",
})  # fmt: skip
_ENCODERS = frozenset({
    "bert", "nomic-bert", "nomic-bert-moe", "jina-bert-v2", "jina-bert-v3", "neo-bert",
    "modern-bert", "eurobert", "gemma-embedding", "llama-embed", "t5encoder",
})  # fmt: skip
_DRAFTS = frozenset({
    "eagle", "eagle3", "dflash", "medusa", "mtp",
})  # fmt: skip

_ALONE = {"controlvector": Kind.CONTROL, "clip": Kind.PROJECTOR}

#: What each language model of llama.cpp turns words into numbers with.
_WORDS = "token_embd.weight"

#: llama.cpp's ``LLAMA_POOLING_TYPE_RANK``: one score instead of a vector.
_RANK = 4

#: Kinds that are added to a model: they have no size of their own.
ADDED = frozenset({Kind.ADAPTER, Kind.CONTROL})


def kind(metadata: Mapping[str, Any], tensors: Sequence[Tensor] | None) -> Kind:
    """``tensors`` are ``None`` while some of them are missing: then the metadata decide alone."""
    architecture = str(metadata.get("general.architecture") or "").lower()
    stated = _TYPES.get(str(metadata.get("general.type") or "").lower())
    if stated:
        return stated
    if architecture in _ALONE:
        return _ALONE[architecture]
    if architecture in _PAINTERS | _FILMERS:
        return Kind.PAINTER
    if architecture in _ENCODERS:
        return Kind.ENCODER
    if architecture in _DRAFTS:
        return Kind.DRAFT
    if tensors is None:
        return Kind.MODEL
    if not tensors:
        return Kind.VOCABULARY
    if adapters.is_adapter(tensors):
        return Kind.ADAPTER
    return _by_names(tensors)


def _by_names(tensors: Sequence[Tensor]) -> Kind:
    """The kind of files with an uninformative architecture, by the names of their tensors."""
    names = {tensor.name for tensor in tensors}
    if any(name.startswith("blk.") for name in names):
        reads = any("embd" in name or "embed" in name for name in names)
        return Kind.MODEL if reads else Kind.DRAFT
    seen = SignalCollector()
    tensor_clues.read(seen, tensors)
    painted = {"tensors:diffusion", "tensors:video"} & seen.features.keys()
    return Kind.PAINTER if painted else Kind.MODEL


def type_of(what: Kind) -> ModelType:
    if what in ADDED:
        return ModelType.PEFT
    return ModelType.DIFFUSERS if what is Kind.PAINTER else ModelType.LLAMA_CPP


def read(
    clues: SignalCollector, metadata: Mapping[str, Any], tensors: Sequence[Tensor] | None
) -> Kind:
    """The kind, marked for the rules with where it shows."""
    what = kind(metadata, tensors)
    named = clean(str(metadata.get("general.architecture") or ""), 80)
    architecture, where = named.lower(), f"gguf general.architecture {named}"
    if what is Kind.PAINTER:
        clues.add_feature(
            "tensors:video" if architecture in _FILMERS else "tensors:diffusion", where
        )
        tensor_clues.read(clues, tensors or ())
    elif what in (Kind.ADAPTER, Kind.CONTROL):
        clues.add_feature("lora", "gguf general.type")
    elif what is Kind.DRAFT:
        clues.add_feature("part", where)
    elif what is Kind.PROJECTOR:
        clues.add_feature("part", where)
        hears = metadata.get("clip.has_audio_encoder") is True
        clues.add_feature("tensors:audio" if hears else "tensors:image", where)
    elif what is Kind.ENCODER:
        clues.add_feature("tensors:text", where)
    if what is not Kind.PROJECTOR and named:
        clues.model_types.setdefault(named)
    if what is Kind.MODEL and any(tensor.name == _WORDS for tensor in tensors or ()):
        clues.add_feature("task:causal_lm", f"gguf {_WORDS}")
    pooling = metadata.get(f"{named}.pooling_type")
    if pooling == _RANK or any(tensor.name.startswith("cls.output") for tensor in tensors or ()):
        clues.add_feature("ranking", f"gguf {named}.pooling_type")
    elif pooling not in (0, None) or (what is Kind.ENCODER and architecture != "t5encoder"):
        clues.add_feature("pooling", f"gguf {named}.pooling_type")
    return what
