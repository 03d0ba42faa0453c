"""Names and shapes of a latent-diffusion UNet and its autoencoder, as Diffusers saves them.

``unet()`` at its defaults is Stable Diffusion XL's: 2,567,463,684 parameters. ``vae()`` is its
autoencoder: 83,653,863.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeAlias

from discovery.demo.writers.shapes import Tensors, linear, norm

_Shapes: TypeAlias = list[tuple[str, tuple[int, ...]]]


def unet(
    channels: Sequence[int] = (320, 640, 1280),
    depths: Sequence[int] = (0, 2, 10),
    text: int = 2048,
    *,
    dtype: str = "F16",
) -> Tensors:
    """Return the tensors of a diffusion U-Net.

    ``depths`` are the numbers of transformer layers of each level, ``text`` is the combined width
    of the text encoders.
    """
    first, time = channels[0], 4 * channels[0]
    shapes = (
        _conv("conv_in", first, 4)
        + linear("time_embedding.linear_1", time, first)
        + linear("time_embedding.linear_2", time, time)
    )
    shapes += linear("add_embedding.linear_1", time, 2816) + linear(
        "add_embedding.linear_2", time, time
    )
    last = len(channels) - 1
    for level, (before, width) in enumerate(pairwise((first, *channels))):
        block = f"down_blocks.{level}"
        for index in range(2):
            shapes += _resnet(
                f"{block}.resnets.{index}", before if not index else width, width, time
            )
            shapes += _attentions(f"{block}.attentions.{index}", width, depths[level], text)
        if level < last:
            shapes += _conv(f"{block}.downsamplers.0.conv", width, width)
    top = channels[-1]
    shapes += _resnet("mid_block.resnets.0", top, top, time) + _resnet(
        "mid_block.resnets.1", top, top, time
    )
    shapes += _attentions("mid_block.attentions.0", top, depths[-1], text)
    for level, width in enumerate(reversed(channels)):
        block, below = f"up_blocks.{level}", channels[max(last - level - 1, 0)]
        for index in range(3):
            arriving = channels[min(last - level + 1, last)] if not index else width
            shapes += _resnet(
                f"{block}.resnets.{index}", arriving + (below if index == 2 else width), width, time
            )
            shapes += _attentions(f"{block}.attentions.{index}", width, depths[last - level], text)
        if level < last:
            shapes += _conv(f"{block}.upsamplers.0.conv", width, width)
    shapes += norm("conv_norm_out", first) + _conv("conv_out", 4, first)
    return [(name, dtype, shape) for name, shape in shapes]


def vae(channels: Sequence[int] = (128, 256, 512, 512), *, dtype: str = "F16") -> Tensors:
    first, top, last = channels[0], channels[-1], len(channels) - 1
    shapes = _conv("encoder.conv_in", first, 3) + _conv("decoder.conv_in", top, 4)
    for level, (before, width) in enumerate(pairwise((first, *channels))):
        for index in range(2):
            shapes += _resnet(
                f"encoder.down_blocks.{level}.resnets.{index}",
                before if not index else width,
                width,
            )
        if level < last:
            shapes += _conv(f"encoder.down_blocks.{level}.downsamplers.0.conv", width, width)
    for level, (before, width) in enumerate(pairwise((top, *reversed(channels)))):
        for index in range(3):
            shapes += _resnet(
                f"decoder.up_blocks.{level}.resnets.{index}", before if not index else width, width
            )
        if level < last:
            shapes += _conv(f"decoder.up_blocks.{level}.upsamplers.0.conv", width, width)
    for side in ("encoder", "decoder"):
        shapes += _resnet(f"{side}.mid_block.resnets.0", top, top) + _resnet(
            f"{side}.mid_block.resnets.1", top, top
        )
        shapes += norm(f"{side}.mid_block.attentions.0.group_norm", top)
        for part in ("to_q", "to_k", "to_v", "to_out.0"):
            shapes += linear(f"{side}.mid_block.attentions.0.{part}", top, top)
    shapes += norm("encoder.conv_norm_out", top) + _conv("encoder.conv_out", 8, top)
    shapes += norm("decoder.conv_norm_out", first) + _conv("decoder.conv_out", 3, first)
    shapes += _conv("quant_conv", 8, 8, 1) + _conv("post_quant_conv", 4, 4, 1)
    return [(name, dtype, shape) for name, shape in shapes]


def _conv(name: str, outputs: int, inputs: int, kernel: int = 3) -> _Shapes:
    return [(f"{name}.weight", (outputs, inputs, kernel, kernel)), (f"{name}.bias", (outputs,))]


def _resnet(name: str, inputs: int, outputs: int, time: int = 0) -> _Shapes:
    shapes = norm(f"{name}.norm1", inputs) + _conv(f"{name}.conv1", outputs, inputs)
    if time:
        shapes += linear(f"{name}.time_emb_proj", outputs, time)
    shapes += norm(f"{name}.norm2", outputs) + _conv(f"{name}.conv2", outputs, outputs)
    return (
        shapes if inputs == outputs else shapes + _conv(f"{name}.conv_shortcut", outputs, inputs, 1)
    )


def _attentions(name: str, width: int, depth: int, text: int) -> _Shapes:
    if not depth:
        return []
    shapes = (
        norm(f"{name}.norm", width)
        + linear(f"{name}.proj_in", width, width)
        + linear(f"{name}.proj_out", width, width)
    )
    for layer in range(depth):
        block = f"{name}.transformer_blocks.{layer}"
        for part, source in (("attn1", width), ("attn2", text)):
            shapes += linear(f"{block}.{part}.to_q", width, width, bias=False) + linear(
                f"{block}.{part}.to_k", width, source, bias=False
            )
            shapes += linear(f"{block}.{part}.to_v", width, source, bias=False) + linear(
                f"{block}.{part}.to_out.0", width, width
            )
        shapes += (
            norm(f"{block}.norm1", width)
            + norm(f"{block}.norm2", width)
            + norm(f"{block}.norm3", width)
        )
        shapes += linear(f"{block}.ff.net.0.proj", 8 * width, width) + linear(
            f"{block}.ff.net.2", width, 4 * width
        )
    return shapes
