"""What a recurrent layer of a Transformers config keeps, however long the context: Mamba 1 and 2,
RWKV, gated delta nets, short convolutions.

Sources: the cache classes in the ``modeling_*.py`` files of Transformers; the same formulas as
llama.cpp's ``n_embd_r`` and ``n_embd_s``.
"""

from __future__ import annotations

from collections.abc import Mapping

from discovery.engine.memory.attention import STATE_VALUE_BYTES, rwkv_state_bytes, ssm_state_bytes
from discovery.engine.memory.config_defaults import Config, kind, number

#: Mamba 1: every channel has a state of its own, none is shared by a group.
_MAMBA_1 = frozenset({"mamba", "falcon_mamba", "jamba", "zamba"})

#: Layers that are all recurrent.
RECURRENT = frozenset({"mamba", "mamba2", "falcon_mamba", "rwkv", "rwkv5", "rwkv6", "rwkv7"})

#: What the original Mamba code takes where ``ssm_cfg`` is silent: state, groups.
_SSM_DEFAULTS = {"Mamba1": (16, 0), "Mamba2": (128, 1)}


def state_bytes(
    config: Config, hidden: int | None, heads: int | None, head_length: int | None
) -> int | None:
    """Of one recurrent layer; ``None`` when the config leaves out a length that the sum needs."""
    name = kind(config)
    if name.startswith("rwkv"):
        return _rwkv(config, name, hidden)
    if isinstance(config.get("linear_attn_config"), dict):
        return _kimi_delta(config["linear_attn_config"])
    if number(config, "linear_num_value_heads"):
        return _delta_net(config)
    if kernel := number(config, "conv_L_cache"):
        return hidden * (kernel - 1) * STATE_VALUE_BYTES if hidden else None
    if width := number(config, "lru_width") or (hidden if name == "recurrent_gemma" else None):
        kernel = number(config, "conv1d_width")
        # Kernel - 1 inputs and one state.
        return width * kernel * STATE_VALUE_BYTES if kernel else None
    if name.startswith("minimax"):
        return (
            heads * head_length * head_length * STATE_VALUE_BYTES if heads and head_length else None
        )
    if isinstance(config.get("ssm_cfg"), dict):
        return _original_mamba(config["ssm_cfg"], hidden)
    return _mamba(config, name)


def _rwkv(config: Config, name: str, hidden: int | None) -> int | None:
    if not hidden:
        return None
    if name == "rwkv":  # version 4: two shifted tokens, three vectors of the attention
        return (
            2 * hidden + 3 * (number(config, "attention_hidden_size") or hidden)
        ) * STATE_VALUE_BYTES
    size = number(config, "head_size", "head_dim")
    return rwkv_state_bytes(hidden, size, 2) if size else None


def _kimi_delta(linear: Config) -> int | None:
    heads, length, kernel = (
        number(linear, "num_heads"),
        number(linear, "head_dim"),
        number(linear, "short_conv_kernel_size"),
    )
    return (
        heads * length * (3 * (kernel - 1) + length) * STATE_VALUE_BYTES
        if heads and length and kernel
        else None
    )


def _delta_net(config: Config) -> int | None:
    values, value_length = (
        number(config, "linear_num_value_heads"),
        number(config, "linear_value_head_dim"),
    )
    keys, key_length, kernel = (
        number(config, "linear_num_key_heads"),
        number(config, "linear_key_head_dim"),
        number(config, "linear_conv_kernel_dim"),
    )
    if not (values and value_length and keys and key_length and kernel):
        return None
    return ssm_state_bytes(kernel, values * value_length, keys, key_length)


def _original_mamba(ssm: Config, hidden: int | None) -> int | None:
    version = ssm.get("layer", "Mamba1")
    if not hidden or not isinstance(version, str) or version not in _SSM_DEFAULTS:
        return None
    state, groups = _SSM_DEFAULTS[version]
    inner, state, groups = (
        hidden * (number(ssm, "expand") or 2),
        number(ssm, "d_state") or state,
        number(ssm, "ngroups") or groups,
    )
    return ssm_state_bytes(number(ssm, "d_conv") or 4, inner, groups, state)


def _mamba(config: Config, name: str) -> int | None:
    kernel = number(config, "mamba_d_conv", "conv_kernel", "mamba_conv_kernel")
    state = number(config, "mamba_d_state", "state_size", "ssm_state_size")
    groups = (
        0 if name in _MAMBA_1 else number(config, "mamba_n_groups", "mamba_ngroups", "n_groups")
    )
    inner = inner_length(config)
    return (
        ssm_state_bytes(kernel, inner, groups, state)
        if kernel and state and inner and groups is not None
        else None
    )


def inner_length(config: Config) -> int | None:
    """Channels of a Mamba layer."""
    name, hidden = kind(config), number(config, "hidden_size", "d_model")
    if inner := number(config, "mamba_d_ssm"):
        return inner
    for heads, length in (
        ("mamba_num_heads", "mamba_head_dim"),
        ("mamba_n_heads", "mamba_d_head"),
        ("num_heads", "head_dim"),
    ):
        if (
            (count := number(config, heads))
            and (size := number(config, length))
            and (heads != "num_heads" or name == "mamba2")
        ):
            return count * size
    if name in ("mamba", "falcon_mamba") and (
        inner := number(config, "intermediate_size", "d_inner")
    ):
        return inner
    ssm = config.get("ssm_cfg")
    expand = number(config, "mamba_expand", "expand") or (
        (number(ssm, "expand") or 2) if isinstance(ssm, dict) else None
    )
    return hidden * expand if hidden and expand else None


def is_recurrent(config: Mapping[str, object]) -> bool:
    """Whether every layer is."""
    return kind(config) in RECURRENT or ("ssm_cfg" in config and not config.get("attn_layer_idx"))
