"""Computes the parameters of well-known architectures from config.json.

Used when the weights are not on the disk.

Arithmetic, not a guess: each function adds up the weight matrices that the Transformers class of
that ``model_type`` creates. Sources: the ``modeling_*.py`` files of Transformers. What is not
listed here is not computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from discovery.engine.core.text import positive

Config = Mapping[str, Any]


class _Unstated(Exception):
    """The config does not state a length that the sum needs."""


def parameters(config: Config) -> int | None:
    """Unique parameters, or ``None`` for other architectures and configs that leave a length
    out.
    """
    kind = config.get("model_type")
    count = _COUNTS.get(kind) if isinstance(kind, str) else None
    if count is None:
        return None
    try:
        return count(config)
    except _Unstated:
        return None


def _length(config: Config, *keys: str, default: int | None = None) -> int:
    for key in keys:
        number = positive(config.get(key))
        if number and number < 1 << 32:
            return number
    if default is None:
        raise _Unstated(keys[0])
    return default


def _linear(inputs: int, outputs: int, bias: bool = True) -> int:
    return inputs * outputs + (outputs if bias else 0)


def _decoder(config: Config) -> int:
    """Llama and its like: grouped-query attention, gated MLP, RMS norms, embeddings tied or not."""
    kind = config["model_type"]
    hidden, layers, inner = (
        _length(config, "hidden_size"),
        _length(config, "num_hidden_layers"),
        _length(config, "intermediate_size"),
    )
    heads, vocabulary = _length(config, "num_attention_heads"), _length(config, "vocab_size")
    shared, width = (
        _length(config, "num_key_value_heads", default=heads),
        _length(config, "head_dim", default=hidden // heads),
    )
    bias = bool(config.get("attention_bias"))
    attention = _linear(hidden, heads * width, bias or kind == "qwen2") + 2 * _linear(
        hidden, shared * width, bias or kind == "qwen2"
    )
    attention += _linear(heads * width, hidden, bias) + (2 * width if kind == "qwen3" else 0)
    mlp = 3 * hidden * inner + ((2 * inner + hidden) if config.get("mlp_bias") else 0)
    embeddings = (
        vocabulary * hidden * (1 if config.get("tie_word_embeddings", kind == "gemma") else 2)
    )
    return layers * (attention + mlp + 2 * hidden) + embeddings + hidden


def _phi(config: Config) -> int:
    """Phi 1 and 2: attention and MLP in parallel behind one layer norm, biases everywhere."""
    hidden, layers, vocabulary = (
        _length(config, "hidden_size"),
        _length(config, "num_hidden_layers"),
        _length(config, "vocab_size"),
    )
    inner = _length(config, "intermediate_size", default=4 * hidden)
    layer = (
        4 * _linear(hidden, hidden) + _linear(hidden, inner) + _linear(inner, hidden) + 2 * hidden
    )
    return layers * layer + vocabulary * hidden + 2 * hidden + _linear(hidden, vocabulary)


def _bert(config: Config) -> int:
    """BERT's encoder with its pooler."""
    hidden, layers, inner = (
        _length(config, "hidden_size"),
        _length(config, "num_hidden_layers"),
        _length(config, "intermediate_size"),
    )
    tables = (
        _length(config, "vocab_size")
        + _length(config, "max_position_embeddings")
        + _length(config, "type_vocab_size", default=1)
    )
    return (
        layers * _encoder_layer(hidden, inner)
        + tables * hidden
        + 2 * hidden
        + _linear(hidden, hidden)
    )


def _encoder_layer(hidden: int, inner: int) -> int:
    return (
        4 * _linear(hidden, hidden) + _linear(hidden, inner) + _linear(inner, hidden) + 4 * hidden
    )


def _translator(config: Config) -> int:
    """M2M100 and NLLB: shared embeddings, sinusoidal positions, an encoder and a decoder with
    cross-attention.
    """
    hidden, vocabulary = _length(config, "d_model"), _length(config, "vocab_size")
    encoder = _length(config, "encoder_layers") * _encoder_layer(
        hidden, _length(config, "encoder_ffn_dim")
    )
    across = 4 * _linear(hidden, hidden) + 2 * hidden
    decoder = _length(config, "decoder_layers") * (
        _encoder_layer(hidden, _length(config, "decoder_ffn_dim")) + across
    )
    return vocabulary * hidden + encoder + decoder + 4 * hidden


def _wav2vec2(config: Config) -> int:
    """wav2vec 2.0: convolutions over the waveform, a convolution for positions, a transformer; for
    pre-training a quantizer.
    """
    channels, kernels = config.get("conv_dim"), config.get("conv_kernel")
    if (
        not isinstance(channels, list)
        or not isinstance(kernels, list)
        or not all(positive(n) for n in (*channels, *kernels))
    ):
        raise _Unstated("conv_dim")
    last: int = channels[-1]
    hidden, inner = _length(config, "hidden_size"), _length(config, "intermediate_size")
    bias = bool(config.get("conv_bias"))
    steps = zip([1, *channels], channels, kernels, strict=False)
    features: int = sum(
        before * after * kernel + (after if bias else 0) for before, after, kernel in steps
    )
    norms: int = sum(channels) if config.get("feat_extract_norm") == "layer" else channels[0]
    groups, kernel = (
        _length(config, "num_conv_pos_embedding_groups", default=16),
        _length(config, "num_conv_pos_embeddings", default=128),
    )
    positions = hidden * (hidden // groups) * kernel + kernel + hidden
    projection = 2 * last + _linear(last, hidden)
    body = (
        _length(config, "num_hidden_layers") * _encoder_layer(hidden, inner) + 2 * hidden + hidden
    )
    return features + 2 * norms + projection + positions + body + _quantizer(config, hidden, last)


def _quantizer(config: Config, hidden: int, channels: int) -> int:
    named = config.get("architectures")
    if not isinstance(named, list) or "Wav2Vec2ForPreTraining" not in named:
        return 0
    groups, entries = (
        _length(config, "num_codevector_groups"),
        _length(config, "num_codevectors_per_group"),
    )
    width, out = _length(config, "codevector_dim"), _length(config, "proj_codevector_dim")
    return (
        groups * entries * (width // groups)
        + _linear(channels, groups * entries)
        + _linear(hidden, out)
        + _linear(width, out)
    )


_COUNTS: dict[str, Callable[[Config], int]] = {
    "llama": _decoder, "mistral": _decoder, "qwen2": _decoder, "qwen3": _decoder, "gemma": _decoder,
    "phi": _phi, "bert": _bert, "m2m_100": _translator, "wav2vec2": _wav2vec2,
}  # fmt: skip
