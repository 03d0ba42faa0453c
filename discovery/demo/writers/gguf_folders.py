"""GGUF models with their vocabulary and projector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from discovery.demo.writers import packed
from discovery.demo.writers.cards import DemoCard, model_card
from discovery.demo.writers.gguf import write_gguf
from discovery.demo.writers.shapes import Sizes, transformer_tensors

#: GGUF's number for each mixture (``general.file_type``).
GGUF_FILE_TYPES = {
    "F32": 0,
    "F16": 1,
    "Q4_0": 2,
    "Q8_0": 7,
    "Q2_K": 10,
    "Q3_K_M": 12,
    "Q4_K_M": 15,
    "Q5_K_M": 17,
    "Q6_K": 18,
    "BF16": 32,
}


def gguf_metadata(
    name: str, sizes: Sizes, quantization: str, *, architecture: str = "llama"
) -> dict[str, object]:
    arch = architecture
    return {
        "general.architecture": arch,
        "general.name": name,
        "general.file_type": GGUF_FILE_TYPES[quantization],
        "general.quantization_version": 2,
        f"{arch}.context_length": sizes.context,
        f"{arch}.embedding_length": sizes.hidden,
        f"{arch}.block_count": sizes.layers,
        f"{arch}.feed_forward_length": sizes.feed_forward,
        f"{arch}.attention.head_count": sizes.attention_heads,
        f"{arch}.attention.head_count_kv": sizes.kv_heads or sizes.attention_heads,
        f"{arch}.attention.layer_norm_rms_epsilon": 1e-05,
        f"{arch}.rope.dimension_count": sizes.hidden // sizes.attention_heads,
        f"{arch}.vocab_size": sizes.vocab,
    }


def write_gguf_model(
    path: Path,
    name: str,
    sizes: Sizes,
    quantization: str,
    metadata: Mapping[str, object] | None = None,
) -> None:
    """Write a Llama-like GGUF with its full vocabulary; ``metadata`` is added to its own."""
    tensors = packed.gguf_tensors(transformer_tensors("llama", sizes), quantization)
    write_gguf(
        path,
        gguf_metadata(name, sizes, quantization) | dict(metadata or {}),
        tensors,
        vocabulary=sizes.vocab,
    )


def gguf_folder(
    path: Path,
    *,
    stem: str | None = None,
    name: str | None = None,
    quantizations: Sequence[str] = ("Q4_K_M",),
    sizes: Sizes | None = None,
    mmproj: bool = False,
    card: DemoCard | bool = True,
    metadata: Mapping[str, object] | None = None,
) -> None:
    """One model in some quantizations; ``mmproj`` adds a CLIP projector that fits it."""
    sizes, stem = sizes or Sizes(hidden=256), stem or path.name
    for quantization in quantizations:
        write_gguf_model(
            path / f"{stem}.{quantization}.gguf", name or stem, sizes, quantization, metadata
        )
    if mmproj:
        write_mmproj(path / "mmproj-model-f16.gguf", sizes.hidden)
    model_card(path, card)


def write_mmproj(path: Path, embedding: int, *, layers: int = 23, hidden: int = 1024) -> None:
    """Write CLIP's ViT-L/14 at 336 pixels and a two-layer projector to ``embedding``.

    The tensors are named as in llama.cpp.
    """
    metadata: dict[str, object] = {
        "general.architecture": "clip",
        "general.name": "vit-large336",
        "general.file_type": 1,
        "clip.has_text_encoder": False,
        "clip.has_vision_encoder": True,
        "clip.has_llava_projector": True,
        "clip.projector_type": "mlp",
        "clip.vision.image_size": 336,
        "clip.vision.patch_size": 14,
        "clip.vision.embedding_length": hidden,
        "clip.vision.feed_forward_length": 4 * hidden,
        "clip.vision.projection_dim": 768,
        "clip.vision.block_count": layers,
        "clip.vision.attention.head_count": hidden // 64,
    }
    shapes: list[tuple[str, tuple[int, ...]]] = [
        ("v.class_embd", (hidden,)), ("v.patch_embd.weight", (hidden, 3, 14, 14)),
        ("v.position_embd.weight", (577, hidden)),
        ("v.pre_ln.weight", (hidden,)), ("v.pre_ln.bias", (hidden,)),
        ("mm.0.weight", (embedding, hidden)), ("mm.0.bias", (embedding,)),
        ("mm.2.weight", (embedding, embedding)), ("mm.2.bias", (embedding,)),
    ]  # fmt: skip
    for layer in range(layers):
        for part, outputs, inputs in (
            ("attn_q", 1, 1),
            ("attn_k", 1, 1),
            ("attn_v", 1, 1),
            ("attn_out", 1, 1),
            ("ffn_down", 4, 1),
            ("ffn_up", 1, 4),
        ):
            shapes += [
                (f"v.blk.{layer}.{part}.weight", (outputs * hidden, inputs * hidden)),
                (f"v.blk.{layer}.{part}.bias", (outputs * hidden,)),
            ]
        for part in ("ln1", "ln2"):
            shapes += [
                (f"v.blk.{layer}.{part}.weight", (hidden,)),
                (f"v.blk.{layer}.{part}.bias", (hidden,)),
            ]
    write_gguf(
        path,
        metadata,
        [(name, "F32" if len(shape) == 1 else "F16", shape) for name, shape in shapes],
    )
