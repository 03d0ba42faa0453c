"""Write the same weights as quantizers and adapters store them.

These are GPTQ, AWQ, MLX, LoRA, and GGUF's own names and mixtures.
"""

from __future__ import annotations

from collections.abc import Sequence

from discovery.demo.writers.gguf import GGUFTensor
from discovery.demo.writers.shapes import Sizes, Tensors
from discovery.demo.writers.sparse import TensorSpec

_GGUF_NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate", "mlp.down_proj": "ffn_down", "mlp.up_proj": "ffn_up",
    "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm",
}  # fmt: skip

#: What llama.cpp mixes into a quantization: most tensors, then attn_v and ffn_down, then the output
#: layer.
_MIXTURES = {
    "F32": ("F32", "F32", "F32"), "F16": ("F16", "F16", "F16"), "BF16": ("BF16", "BF16", "BF16"),
    "Q8_0": ("Q8_0", "Q8_0", "Q8_0"),
    "Q4_0": ("Q4_0", "Q4_0", "Q6_K"), "Q2_K": ("Q2_K", "Q3_K", "Q6_K"),
    "Q3_K_M": ("Q3_K", "Q4_K", "Q6_K"),
    "Q4_K_M": ("Q4_K", "Q6_K", "Q6_K"), "Q5_K_M": ("Q5_K", "Q6_K", "Q6_K"),
    "Q6_K": ("Q6_K", "Q6_K", "Q6_K"),
}  # fmt: skip


def gguf_tensors(tensors: Sequence[TensorSpec], quantization: str = "Q4_K_M") -> list[GGUFTensor]:
    """A Llama's tensors under GGUF's names, in the mixture of that quantization."""
    most, careful, output = _MIXTURES[quantization]
    named: list[GGUFTensor] = []
    for name, _, shape in tensors:
        new = _gguf_name(name)
        if len(shape) == 1:
            kind = "F32"
        else:
            kind = (
                output
                if new == "output.weight"
                else careful
                if "attn_v" in new or "ffn_down" in new
                else most
            )
            if shape[-1] % 256 and kind.endswith("_K"):
                kind = "Q8_0"  # as llama.cpp does where rows are no whole number of blocks
        named.append((new, kind, shape))
    return named


def _gguf_name(name: str) -> str:
    parts = name.removeprefix("model.").removesuffix(".weight").split(".")
    if parts[0] == "layers":
        return f"blk.{parts[1]}.{_GGUF_NAMES['.'.join(parts[2:])]}.weight"
    return {"embed_tokens": "token_embd", "norm": "output_norm", "lm_head": "output"}[
        parts[0]
    ] + ".weight"


def _is_projection(name: str) -> bool:
    return name.endswith("_proj.weight") or (".experts." in name and name.endswith(".weight"))


def gptq_tensors(tensors: Sequence[TensorSpec], *, bits: int = 4, group: int = 128) -> Tensors:
    """Packed along the inputs, with ``g_idx``."""
    factor = 32 // bits
    packed: Tensors = []
    for name, dtype, shape in tensors:
        if not _is_projection(name):
            packed.append((name, dtype, shape))
            continue
        base, (outputs, inputs) = name.removesuffix(".weight"), shape
        packed += [
            (f"{base}.g_idx", "I32", (inputs,)),
            (f"{base}.qweight", "I32", (inputs // factor, outputs)),
            (f"{base}.qzeros", "I32", (-(-inputs // group), outputs // factor)),
            (f"{base}.scales", "F16", (-(-inputs // group), outputs)),
        ]
    return packed


def awq_tensors(tensors: Sequence[TensorSpec], *, bits: int = 4, group: int = 128) -> Tensors:
    """Packed along the outputs."""
    factor = 32 // bits
    packed: Tensors = []
    for name, dtype, shape in tensors:
        if not _is_projection(name):
            packed.append((name, dtype, shape))
            continue
        base, (outputs, inputs) = name.removesuffix(".weight"), shape
        packed += [
            (f"{base}.qweight", "I32", (inputs, outputs // factor)),
            (f"{base}.qzeros", "I32", (-(-inputs // group), outputs // factor)),
            (f"{base}.scales", "F16", (-(-inputs // group), outputs)),
        ]
    return packed


def mlx_tensors(tensors: Sequence[TensorSpec], *, bits: int = 4, group: int = 64) -> Tensors:
    """Packed along the inputs in U32, every matrix, embeddings too."""
    packed: Tensors = []
    for name, dtype, shape in tensors:
        if len(shape) != 2:
            packed.append((name, dtype, shape))
            continue
        base, (outputs, inputs) = name.removesuffix(".weight"), shape
        packed += [
            (f"{base}.biases", "F16", (outputs, inputs // group)),
            (f"{base}.scales", "F16", (outputs, inputs // group)),
            (f"{base}.weight", "U32", (outputs, inputs * bits // 32)),
        ]
    return packed


def lora_tensors(
    sizes: Sizes, *, rank: int = 8, targets: Sequence[str] = ("q_proj", "v_proj")
) -> Tensors:
    """PEFT's names for an adapter over a Llama's attention."""
    tensors: Tensors = []
    for layer in range(sizes.layers):
        for target in targets:
            base = f"base_model.model.model.layers.{layer}.self_attn.{target}"
            outputs = sizes.kv_width if target in ("k_proj", "v_proj") else sizes.hidden
            tensors += [
                (f"{base}.lora_A.weight", "F32", (rank, sizes.hidden)),
                (f"{base}.lora_B.weight", "F32", (outputs, rank)),
            ]
    return tensors
