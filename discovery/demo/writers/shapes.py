"""Names and shapes of the tensors of well-known architectures, at any size.

They are those that Transformers saves.

At the published sizes the parameter counts come out exactly (Llama 2 7B: 6,738,415,616); a test
holds them to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from discovery.demo.writers.sparse import TensorSpec

Tensors: TypeAlias = list[TensorSpec]


@dataclass(frozen=True, slots=True)
class Sizes:
    """The numbers of a config.json.

    Zero means the usual: four times ``hidden``, heads of 64, no grouping, no experts.
    """

    layers: int = 2
    hidden: int = 64
    vocab: int = 1000
    context: int = 2048
    intermediate: int = 0
    heads: int = 0
    kv_heads: int = 0
    experts: int = 0
    mels: int = 80

    @property
    def feed_forward(self) -> int:
        return self.intermediate or 4 * self.hidden

    @property
    def attention_heads(self) -> int:
        return self.heads or max(self.hidden // 64, 1)

    @property
    def kv_width(self) -> int:
        return self.hidden // self.attention_heads * (self.kv_heads or self.attention_heads)


def transformer_tensors(
    family: str = "llama", sizes: Sizes | None = None, *, dtype: str = "BF16"
) -> Tensors:
    """Every tensor of a model of that family (a key of ``FAMILIES``).

    Raises ``KeyError`` for another.
    """
    return [(name, dtype, shape) for name, shape in FAMILIES[family](sizes or Sizes())]


_Shapes: TypeAlias = list[tuple[str, tuple[int, ...]]]


def linear(name: str, outputs: int, inputs: int, bias: bool = True) -> _Shapes:
    weight: _Shapes = [(f"{name}.weight", (outputs, inputs))]
    return [*weight, (f"{name}.bias", (outputs,))] if bias else weight


def norm(name: str, width: int) -> _Shapes:
    return [(f"{name}.weight", (width,)), (f"{name}.bias", (width,))]


def llama(sizes: Sizes, prefix: str = "") -> _Shapes:
    """Also Mistral; with ``experts`` Mixtral's names."""
    hidden, wide = sizes.hidden, sizes.feed_forward
    shapes: _Shapes = [(f"{prefix}model.embed_tokens.weight", (sizes.vocab, hidden))]
    for layer in range(sizes.layers):
        base = f"{prefix}model.layers.{layer}"
        shapes.append((f"{base}.input_layernorm.weight", (hidden,)))
        shapes += _llama_feed_forward(base, sizes, hidden, wide)
        shapes += [
            (f"{base}.post_attention_layernorm.weight", (hidden,)),
            (f"{base}.self_attn.k_proj.weight", (sizes.kv_width, hidden)),
            (f"{base}.self_attn.o_proj.weight", (hidden, hidden)),
            (f"{base}.self_attn.q_proj.weight", (hidden, hidden)),
            (f"{base}.self_attn.v_proj.weight", (sizes.kv_width, hidden)),
        ]
    return [
        *shapes,
        (f"{prefix}model.norm.weight", (hidden,)),
        (f"{prefix}lm_head.weight", (sizes.vocab, hidden)),
    ]


def _llama_feed_forward(base: str, sizes: Sizes, hidden: int, wide: int) -> _Shapes:
    if not sizes.experts:
        mlp = f"{base}.mlp"
        return [
            (f"{mlp}.down_proj.weight", (hidden, wide)),
            (f"{mlp}.gate_proj.weight", (wide, hidden)),
            (f"{mlp}.up_proj.weight", (wide, hidden)),
        ]
    moe = f"{base}.block_sparse_moe"
    shapes: _Shapes = [(f"{moe}.gate.weight", (sizes.experts, hidden))]
    for expert in range(sizes.experts):
        one = f"{moe}.experts.{expert}"
        shapes += [
            (f"{one}.w1.weight", (wide, hidden)),
            (f"{one}.w2.weight", (hidden, wide)),
            (f"{one}.w3.weight", (wide, hidden)),
        ]
    return shapes


def bert(sizes: Sizes) -> _Shapes:
    hidden = sizes.hidden
    shapes: _Shapes = [
        ("embeddings.word_embeddings.weight", (sizes.vocab, hidden)),
        ("embeddings.position_embeddings.weight", (sizes.context, hidden)),
        ("embeddings.token_type_embeddings.weight", (2, hidden)),
        *norm("embeddings.LayerNorm", hidden),
    ]
    for layer in range(sizes.layers):
        base = f"encoder.layer.{layer}"
        for part in (
            "attention.self.query",
            "attention.self.key",
            "attention.self.value",
            "attention.output.dense",
        ):
            shapes += linear(f"{base}.{part}", hidden, hidden)
        shapes += norm(f"{base}.attention.output.LayerNorm", hidden)
        shapes += linear(f"{base}.intermediate.dense", sizes.feed_forward, hidden) + linear(
            f"{base}.output.dense", hidden, sizes.feed_forward
        )
        shapes += norm(f"{base}.output.LayerNorm", hidden)
    return shapes + linear("pooler.dense", hidden, hidden)


def vit(sizes: Sizes) -> _Shapes:
    """``vocab`` is the number of classes; pictures of 224 pixels in patches of 16."""
    hidden = sizes.hidden
    shapes: _Shapes = [
        ("vit.embeddings.cls_token", (1, 1, hidden)),
        ("vit.embeddings.position_embeddings", (1, 197, hidden)),
        ("vit.embeddings.patch_embeddings.projection.weight", (hidden, 3, 16, 16)),
        ("vit.embeddings.patch_embeddings.projection.bias", (hidden,)),
    ]
    for layer in range(sizes.layers):
        base = f"vit.encoder.layer.{layer}"
        for part in (
            "attention.attention.query",
            "attention.attention.key",
            "attention.attention.value",
            "attention.output.dense",
        ):
            shapes += linear(f"{base}.{part}", hidden, hidden)
        shapes += linear(f"{base}.intermediate.dense", sizes.feed_forward, hidden) + linear(
            f"{base}.output.dense", hidden, sizes.feed_forward
        )
        shapes += norm(f"{base}.layernorm_before", hidden) + norm(f"{base}.layernorm_after", hidden)
    return shapes + norm("vit.layernorm", hidden) + linear("classifier", sizes.vocab, hidden)


def whisper(sizes: Sizes) -> _Shapes:
    hidden = sizes.hidden
    shapes: _Shapes = [
        ("model.encoder.conv1.weight", (hidden, sizes.mels, 3)),
        ("model.encoder.conv1.bias", (hidden,)),
        ("model.encoder.conv2.weight", (hidden, hidden, 3)),
        ("model.encoder.conv2.bias", (hidden,)),
        ("model.encoder.embed_positions.weight", (1500, hidden)),
        ("model.decoder.embed_tokens.weight", (sizes.vocab, hidden)),
        ("model.decoder.embed_positions.weight", (448, hidden)),
    ]
    for side, attentions in (
        ("encoder", ("self_attn",)),
        ("decoder", ("self_attn", "encoder_attn")),
    ):
        for layer in range(sizes.layers):
            base = f"model.{side}.layers.{layer}"
            for attention in attentions:
                shapes += linear(f"{base}.{attention}.k_proj", hidden, hidden, bias=False)
                for part in ("v_proj", "q_proj", "out_proj"):
                    shapes += linear(f"{base}.{attention}.{part}", hidden, hidden)
                shapes += norm(f"{base}.{attention}_layer_norm", hidden)
            shapes += linear(f"{base}.fc1", sizes.feed_forward, hidden) + linear(
                f"{base}.fc2", hidden, sizes.feed_forward
            )
            shapes += norm(f"{base}.final_layer_norm", hidden)
        shapes += norm(f"model.{side}.layer_norm", hidden)
    return shapes


def wav2vec2(sizes: Sizes) -> _Shapes:
    hidden, convolution = sizes.hidden, 512
    extractor, encoder = "wav2vec2.feature_extractor.conv_layers", "wav2vec2.encoder"
    shapes: _Shapes = [
        ("wav2vec2.masked_spec_embed", (hidden,)),
        *norm(f"{extractor}.0.layer_norm", convolution),
    ]
    for layer, kernel in enumerate((10, 3, 3, 3, 3, 2, 2)):
        shapes.append(
            (f"{extractor}.{layer}.conv.weight", (convolution, convolution if layer else 1, kernel))
        )
    shapes += norm("wav2vec2.feature_projection.layer_norm", convolution)
    shapes += linear("wav2vec2.feature_projection.projection", hidden, convolution)
    shapes += [
        (f"{encoder}.pos_conv_embed.conv.bias", (hidden,)),
        (f"{encoder}.pos_conv_embed.conv.weight_g", (1, 1, 128)),
        (f"{encoder}.pos_conv_embed.conv.weight_v", (hidden, hidden // 16, 128)),
        *norm(f"{encoder}.layer_norm", hidden),
    ]
    for layer in range(sizes.layers):
        base = f"{encoder}.layers.{layer}"
        for part in ("k_proj", "v_proj", "q_proj", "out_proj"):
            shapes += linear(f"{base}.attention.{part}", hidden, hidden)
        shapes += linear(f"{base}.feed_forward.intermediate_dense", sizes.feed_forward, hidden)
        shapes += linear(f"{base}.feed_forward.output_dense", hidden, sizes.feed_forward)
        shapes += norm(f"{base}.layer_norm", hidden) + norm(f"{base}.final_layer_norm", hidden)
    return shapes + linear("lm_head", sizes.vocab, hidden)


def _clip_layers(prefix: str, layers: int, hidden: int) -> _Shapes:
    shapes: _Shapes = []
    for layer in range(layers):
        base = f"{prefix}.encoder.layers.{layer}"
        for part in ("k_proj", "v_proj", "q_proj", "out_proj"):
            shapes += linear(f"{base}.self_attn.{part}", hidden, hidden)
        shapes += norm(f"{base}.layer_norm1", hidden) + norm(f"{base}.layer_norm2", hidden)
        shapes += linear(f"{base}.mlp.fc1", 4 * hidden, hidden) + linear(
            f"{base}.mlp.fc2", hidden, 4 * hidden
        )
    return shapes


def clip_vision(layers: int, hidden: int, positions: int, prefix: str = "vision_model") -> _Shapes:
    return [
        (f"{prefix}.embeddings.class_embedding", (hidden,)),
        (f"{prefix}.embeddings.patch_embedding.weight", (hidden, 3, 14, 14)),
        (f"{prefix}.embeddings.position_embedding.weight", (positions, hidden)),
        *norm(f"{prefix}.pre_layrnorm", hidden),
        *_clip_layers(prefix, layers, hidden),
        *norm(f"{prefix}.post_layernorm", hidden),
    ]


def clip_text(sizes: Sizes, prefix: str = "text_model") -> _Shapes:
    return [
        (f"{prefix}.embeddings.token_embedding.weight", (sizes.vocab, sizes.hidden)),
        (f"{prefix}.embeddings.position_embedding.weight", (sizes.context, sizes.hidden)),
        *_clip_layers(prefix, sizes.layers, sizes.hidden),
        *norm(f"{prefix}.final_layer_norm", sizes.hidden),
    ]


def clip(sizes: Sizes) -> _Shapes:
    """``sizes`` are the text tower's; the vision tower is as much larger as in ViT-L/14."""
    vision = sizes.hidden * 4 // 3
    return [
        ("logit_scale", ()),
        *clip_text(sizes),
        *clip_vision(2 * sizes.layers, vision, 257),
        ("visual_projection.weight", (sizes.hidden, vision)),
        ("text_projection.weight", (sizes.hidden, sizes.hidden)),
    ]


def llava(sizes: Sizes) -> _Shapes:
    """Return Llama with CLIP's ViT-L/14 at 336 pixels.

    The vision tower is narrower and shallower when the language model is.
    """
    vision = max(sizes.hidden // 4, 16)
    return [
        *clip_vision(sizes.layers * 3 // 4, vision, 577, "vision_tower.vision_model"),
        *linear("multi_modal_projector.linear_1", sizes.hidden, vision),
        *linear("multi_modal_projector.linear_2", sizes.hidden, sizes.hidden),
        *llama(sizes, "language_model."),
    ]


def biogpt(sizes: Sizes) -> _Shapes:
    hidden = sizes.hidden
    shapes: _Shapes = [
        ("biogpt.embed_tokens.weight", (sizes.vocab, hidden)),
        ("biogpt.embed_positions.weight", (sizes.context + 2, hidden)),
    ]
    for layer in range(sizes.layers):
        base = f"biogpt.layers.{layer}"
        for part in ("k_proj", "v_proj", "q_proj", "out_proj"):
            shapes += linear(f"{base}.self_attn.{part}", hidden, hidden)
        shapes += linear(f"{base}.fc1", sizes.feed_forward, hidden) + linear(
            f"{base}.fc2", hidden, sizes.feed_forward
        )
        shapes += norm(f"{base}.self_attn_layer_norm", hidden) + norm(
            f"{base}.final_layer_norm", hidden
        )
    return shapes + norm("biogpt.layer_norm", hidden)


def gpt_bigcode(sizes: Sizes) -> _Shapes:
    """One key-value head for all queries (multi-query attention), as in StarCoder."""
    hidden, head = sizes.hidden, sizes.hidden // sizes.attention_heads
    shapes: _Shapes = [
        ("transformer.wte.weight", (sizes.vocab, hidden)),
        ("transformer.wpe.weight", (sizes.context, hidden)),
    ]
    for layer in range(sizes.layers):
        base = f"transformer.h.{layer}"
        shapes += (
            norm(f"{base}.ln_1", hidden)
            + linear(f"{base}.attn.c_attn", hidden + 2 * head, hidden)
            + linear(f"{base}.attn.c_proj", hidden, hidden)
        )
        shapes += norm(f"{base}.ln_2", hidden)
        shapes += linear(f"{base}.mlp.c_fc", sizes.feed_forward, hidden) + linear(
            f"{base}.mlp.c_proj", hidden, sizes.feed_forward
        )
    return shapes + norm("transformer.ln_f", hidden)


FAMILIES: dict[str, Callable[[Sizes], _Shapes]] = {
    "llama": llama, "mistral": llama, "mixtral": llama, "bert": bert, "vit": vit,
    "whisper": whisper, "wav2vec2": wav2vec2,
    "clip": clip, "llava": llava, "biogpt": biogpt, "gpt_bigcode": gpt_bigcode,
}  # fmt: skip
