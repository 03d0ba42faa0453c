"""``AttentionShape`` from the ``config.json`` of Transformers and its relatives.

Sources: the ``configuration_*.py`` and ``modeling_*.py`` files of Transformers; vLLM for what it
caches of multi-head latent attention.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from discovery.engine.core.text import positive
from discovery.engine.memory.attention import (
    MAX_LAYERS,
    MAX_STATE_BYTES,
    AttentionShape,
    Kind,
    LayerGroup,
    collected,
    without_cache,
)
from discovery.engine.memory.config_defaults import Config, kind, language_half, layer_count, number
from discovery.engine.memory.config_layers import (
    BOTH,
    FULL,
    MAYBE_WINDOW,
    RECURRENT,
    UNKNOWN,
    WINDOW,
    layer_plan,
)
from discovery.engine.memory.config_state import inner_length, state_bytes
from discovery.engine.memory.encoders import encoder_note
from discovery.engine.sidecars import model_config

_HIDDEN = ("hidden_size", "d_model", "n_embd", "n_embed", "dim", "model_dim")
_HEADS = (
    "num_attention_heads",
    "n_head",
    "n_heads",
    "num_heads",
    "decoder_attention_heads",
    "attention_heads",
)
_KV_HEADS = (
    "num_key_value_heads",
    "num_kv_heads",
    "n_kv_heads",
    "n_head_kv",
    "multi_query_group_num",
    "num_query_groups",
)
_KV_HEADS_OF_LAYERS = ("num_key_value_heads_per_layer", "num_kv_heads", "num_key_value_heads")
_HEAD_LENGTH = ("head_dim", "kv_channels", "attention_head_dim", "d_kv")
_FEED_FORWARD = (
    "intermediate_size",
    "n_inner",
    "ffn_dim",
    "d_ff",
    "ffn_hidden_size",
    "decoder_ffn_dim",
    "feed_forward_length",
    "ffn_hidden_dim",
)

#: Encoder-decoders that read text: the input may be as long as the context.
_TEXT_TO_TEXT = frozenset({
    "bart", "bigbird_pegasus", "blenderbot", "blenderbot-small", "fsmt", "led", "longt5", "m2m_100",
    "marian", "mbart", "mt5", "mvp", "nllb-moe",
    "pegasus", "pegasus_x", "plbart", "prophetnet", "switch_transformers", "t5", "umt5",
})  # fmt: skip
#: ``multi_query`` is true unless they say otherwise.
_MULTI_QUERY = frozenset({"gpt_bigcode", "falcon", "refinedweb", "refinedwebmodel"})
#: Their feed-forward layer is four times as wide as the model where the config does not say.
_FOUR_TIMES = frozenset({
    "bloom", "codegen", "falcon", "gpt2", "gpt_bigcode", "gpt_neo", "gptj", "mixformer-sequential",
    "refinedweb", "refinedwebmodel",
})  # fmt: skip


@dataclass(slots=True)
class _Heads:
    kv_heads: list[int | None]
    key_length: int | None
    value_length: int | None


def shape_from_config(config: Config) -> AttentionShape | None:
    """``None`` when the config does not describe layers.

    What it leaves out is named in ``missing``.
    """
    if note := encoder_note(config):
        return _encoder(config, note)
    half = language_half(config)
    if half is None:
        return None
    if note := encoder_note(half):
        return _encoder(half, note)
    decoder = _is_encoder_decoder(half)
    count = (
        number(half, "num_decoder_layers", "decoder_layers") if decoder else None
    ) or layer_count(half)
    if count is None or count > MAX_LAYERS:
        return None
    stated = _stated(half)
    max_context = stated.get("context_length") or _stated(config).get("context_length")
    missing: dict[str, None] = {}
    layers = _layers(half, count, max_context, missing)
    if decoder:
        layers += _cross(half, layers, missing, reads_text=kind(config) in _TEXT_TO_TEXT)
    return AttentionShape(
        groups=collected(layers),
        layer_count=count,
        embedding_length=stated.get("embedding_length"),
        # Mamba has no other inner width.
        feed_forward_length=_feed_forward(half) or inner_length(half),
        vocab_size=stated.get("vocab_size"),
        max_context=max_context,
        missing=tuple(missing),
    )


def _encoder(config: Config, note: str) -> AttentionShape:
    halves = [
        config,
        *(
            half
            for key in ("text_config", "vision_config")
            if isinstance(half := config.get(key), dict)
        ),
    ]
    inner = max(
        (
            n
            for half in halves
            if (n := _feed_forward(half) or number(half, "encoder_ffn_dim", "hidden_dim"))
        ),
        default=None,
    )
    stated: dict[str, Any] = {}
    for half in halves:
        stated = _stated(half) | stated
    lengths = {name: stated.get(name) for name in ("layer_count", "embedding_length", "vocab_size")}
    return without_cache(
        note, **lengths, feed_forward_length=inner, max_context=stated.get("context_length")
    )


def _stated(config: Config) -> dict[str, Any]:
    """The document fields of this half alone."""
    own = {
        key: value
        for key, value in config.items()
        if not isinstance(value, dict) or key in ("rope_scaling", "rope_parameters")
    }
    return model_config.fields(own | {"model_type": kind(config)})


def _layers(
    config: Config, count: int, max_context: int | None, missing: dict[str, None]
) -> list[LayerGroup]:
    words, window = layer_plan(config, count, max_context)
    heads = _heads(config, count)
    latent = _latent(config)
    hidden, key_length = number(config, *_HIDDEN), heads.key_length
    state = (
        state_bytes(config, hidden, number(config, *_HEADS), key_length)
        if {RECURRENT, BOTH} & set(words)
        else None
    )
    looks_across = _looks_across(config)
    layers = []
    for i, word in enumerate(words):
        if i in looks_across:
            missing["the length of the picture's tokens, which some layers keep"] = None
            continue
        if word in (FULL, BOTH, WINDOW, MAYBE_WINDOW):
            layers.append(latent or _attention(config, heads, i, word, window, missing))
        if word in (RECURRENT, BOTH):
            if state is None or state > MAX_STATE_BYTES:
                missing["the size of the state of its recurrent layers"] = None
            else:
                layers.append(LayerGroup(Kind.RECURRENT, state_bytes=state))
        if word == MAYBE_WINDOW:
            missing[f"which layers look at no more than {window:,} tokens"] = None
        if word == UNKNOWN:
            missing["what kind each layer is"] = None
    if latent and number(config, "index_head_dim"):
        missing["the cache of the indexer of sparse attention"] = None
    return [layer for layer in layers if layer.kind is not Kind.NONE]


def _attention(
    config: Config, heads: _Heads, i: int, word: str, window: int, missing: dict[str, None]
) -> LayerGroup:
    local = word in (WINDOW, MAYBE_WINDOW)
    kv_heads, key_length, value_length = heads.kv_heads[i], heads.key_length, heads.value_length
    if local:
        kv_heads = number(config, "swa_num_key_value_heads") or kv_heads
        key_length = number(config, "swa_head_dim") or key_length
        value_length = number(config, "swa_v_head_dim") or value_length
    elif whole := number(config, "global_head_dim"):
        kv_heads, key_length, value_length = (
            number(config, "num_global_key_value_heads") or kv_heads,
            whole,
            whole,
        )
    if kv_heads == 0:
        return LayerGroup(Kind.NONE)
    if kv_heads is None:
        missing["the number of attention heads"] = None
    if key_length is None or value_length is None:
        missing["the length of its attention heads"] = None
    if kv_heads is None or key_length is None or value_length is None:
        return LayerGroup(Kind.NONE)
    return LayerGroup(
        Kind.WINDOW if local else Kind.FULL,
        1,
        kv_heads,
        key_length,
        value_length,
        window if local else 0,
    )


def _heads(config: Config, count: int) -> _Heads:
    heads = number(config, "decoder_attention_heads") if _is_encoder_decoder(config) else None
    heads = heads or number(config, *_HEADS)
    hidden = number(config, *_HIDDEN)
    key_length = number(config, *_HEAD_LENGTH)
    if key_length is None and heads and hidden and hidden % heads == 0:
        key_length = hidden // heads
    return _Heads(
        _kv_heads(config, count, heads), key_length, number(config, "v_head_dim") or key_length
    )


def _kv_heads(config: Config, count: int, heads: int | None) -> list[int | None]:
    """For each layer; 0 for a layer that does not attend."""
    # Nemotron's pruned layers.
    if isinstance(blocks := config.get("block_configs"), list) and len(blocks) == count:
        return [_block_kv_heads(block, heads) for block in blocks]
    for key in _KV_HEADS_OF_LAYERS:
        if isinstance(each := config.get(key), list) and len(each) == count:
            return [item if item == 0 and item is not False else positive(item) for item in each]
    inner = config.get("attn_config")
    stated = number(config, *_KV_HEADS) or (
        number(inner, "kv_n_heads") if isinstance(inner, dict) else None
    )
    if kind(config) in _MULTI_QUERY:
        if config.get("new_decoder_architecture") is not True and "n_head_kv" not in config:
            stated = 1 if config.get("multi_query", True) is not False else heads
    elif config.get("multi_query") is True:
        stated = 1
    # ChatGLM states its groups whether it uses them or not.
    if config.get("multi_query_attention") is False:
        stated = heads
    return [stated or heads] * count


def _block_kv_heads(block: Any, heads: int | None) -> int | None:
    attention = block.get("attention") if isinstance(block, dict) else None
    if not isinstance(attention, dict):
        return None
    if attention.get("no_op") is True or attention.get("replace_with_linear") is True:
        return 0
    if stated := number(attention, "num_key_value_heads"):
        return stated
    group = number(attention, "n_heads_in_group")
    return heads // group if heads and group else None


def _latent(config: Config) -> LayerGroup | None:
    """Multi-head latent attention: one compressed vector and one rotated key a position, for all
    heads.
    """
    rank, rope = number(config, "kv_lora_rank"), number(config, "qk_rope_head_dim")
    if not rank or not rope or config.get("use_mla") is False:
        return None
    return LayerGroup(Kind.MLA, latent_length=rank, rope_length=rope)


def _is_encoder_decoder(config: Config) -> bool:
    return (
        config.get("is_encoder_decoder") is True
        or kind(config) in _TEXT_TO_TEXT
        or kind(config) == "whisper"
    )


def _cross(
    config: Config, layers: list[LayerGroup], missing: dict[str, None], *, reads_text: bool
) -> list[LayerGroup]:
    """Every decoder layer also keeps keys and values of the encoder's output."""
    own = [layer for layer in layers if layer.kind in (Kind.FULL, Kind.WINDOW)]
    fixed = number(config, "max_source_positions") if kind(config) == "whisper" else None
    if not fixed and not reads_text:
        missing["the length of the encoder's output, which the decoder keeps"] = None
        return []
    return [
        LayerGroup(Kind.CROSS, 1, layer.kv_heads, layer.key_length, layer.value_length, fixed or 0)
        for layer in own
    ]


def _looks_across(config: Config) -> frozenset[int]:
    """Layers of Llama 3.2 Vision that keep the picture and nothing of the text."""
    stated = config.get("cross_attention_layers")
    return (
        frozenset(item for item in stated if isinstance(item, int))
        if isinstance(stated, list)
        else frozenset()
    )


def _feed_forward(config: Config) -> int | None:
    used = (
        number(
            config,
            "num_experts_per_tok",
            "moe_topk",
            "num_experts_per_token",
            "num_selected_experts",
        )
        or 1
    )
    dense = number(config, *_FEED_FORWARD) or _implied_feed_forward(config)
    if expert := number(config, "moe_intermediate_size", "expert_ffn_hidden_size"):
        return max(dense or 0, expert * (used + (number(config, "n_shared_experts") or 0)))
    return dense * used if dense and number(config, "num_local_experts", "num_experts") else dense


def _implied_feed_forward(config: Config) -> int | None:
    """What the classes compute themselves."""
    hidden, block = number(config, *_HIDDEN), number(config, "block_ff_dim")
    if hidden and kind(config) in _FOUR_TIMES:
        return 4 * hidden
    multiplier, multiple = (
        config.get("block_ffn_dim_multiplier", 1.0),
        number(config, "block_multiple_of") or 256,
    )
    # LFM2.
    if (
        block
        and config.get("block_auto_adjust_ff_dim") is True
        and isinstance(multiplier, int | float)
        and 0 < multiplier < 16
    ):
        return -(-int(multiplier * int(2 * block / 3)) // multiple) * multiple
    return block
