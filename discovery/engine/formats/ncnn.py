"""ncnn: a ``.param`` file with the layers as text, and a ``.bin`` file with the weights.

Source: ``Net::load_param`` of https://github.com/Tencent/ncnn and its wiki page
"param-and-model-file-structure".
"""

from __future__ import annotations

from typing import Any, BinaryIO

from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format, Usage
from discovery.engine.core.types import Header
from discovery.engine.core.vocabulary import ModelType

NAME = "ncnn"

MAGIC = b"7767517"
#: The text of a network of 10,000 layers has less.
MAX_BYTES = 4 << 20
MAX_LAYERS = 100_000
_WEIGHTS = {
    **dict.fromkeys(
        ("Convolution", "ConvolutionDepthWise", "Deconvolution", "DeconvolutionDepthWise"), 6
    ),
    "InnerProduct": 2,
    "Embed": 3,
}
_BIAS = {"InnerProduct": 1, "Embed": 2}


def read(stream: BinaryIO, size: int) -> Header:
    """Raises ``NotThisFormat`` or ``InvalidHeader``.

    Parameters are those of convolutions, dense layers and embeddings.
    """
    if stream.read(len(MAGIC)) != MAGIC:
        raise NotThisFormat("it does not start with 7767517")
    if size > MAX_BYTES:
        raise InvalidHeader(f"its text has more than {MAX_BYTES:,} bytes")
    lines = stream.read(size).decode("utf-8", "replace").splitlines()
    counts = (lines[1] if len(lines) > 1 else "").split()
    if len(counts) != 2 or not all(part.isdecimal() and len(part) < 10 for part in counts):
        raise InvalidHeader("its second line does not count layers and blobs", len(MAGIC))
    layers = [line.split() for line in lines[2:] if line.strip()]
    if not 0 < int(counts[0]) <= MAX_LAYERS or int(counts[0]) > len(layers):
        raise InvalidHeader(f"it has {len(layers):,} of {counts[0]} layers", size)
    layers = layers[: int(counts[0])]
    settings = [(words[0], _settings(words)) for words in layers if words]
    parameters = sum(_parameters(kind, told) for kind, told in settings)
    metadata: dict[str, Any] = {"layers": len(layers), "blobs": int(counts[1])}
    if (channels := _channels(settings)) is not None:
        name = next((words[1] for words in layers if words[0] == "Input" and len(words) > 1), "in0")
        height, width = _sides(settings)
        metadata["inputs"] = [{"name": name[:120], "shape": [1, channels, height, width]}]
    return Header(
        format=NAME,
        metadata=metadata,
        parameter_count=parameters or None,
    )


def _settings(words: list[str]) -> dict[int, int]:
    """``key=value`` behind a layer's blobs; texts and lists are left out."""
    found: dict[int, int] = {}
    for word in words[4:]:
        key, equals, value = word.partition("=")
        number = value.lstrip("-")
        if equals and key.isdecimal() and number.isdecimal() and len(key) < 4 and len(number) < 11:
            found[int(key)] = int(value)
    return found


def _parameters(kind: str, told: dict[int, int]) -> int:
    at = _WEIGHTS.get(kind)
    if at is None:
        return 0
    bias = told.get(0, 0) if told.get(_BIAS.get(kind, 5), 0) else 0
    return max(told.get(at, 0), 0) + max(bias, 0)


def _channels(settings: list[tuple[str, dict[int, int]]]) -> int | None:
    """Channels that the first convolution takes, when it is a flat one over an image."""
    for kind, told in settings:
        if kind == "Convolution":
            sides = told.get(1, 0) * told.get(11, told.get(1, 0))
            outputs, weights = told.get(0, 0), told.get(6, 0)
            if min(sides, outputs, weights) <= 0 or weights % (sides * outputs):
                return None
            channels = weights // (sides * outputs)
            return channels if channels in (1, 3, 4) else None
        if kind in _WEIGHTS:
            return None
    return None


def _sides(settings: list[tuple[str, dict[int, int]]]) -> tuple[int, int]:
    told = next((told for kind, told in settings if kind == "Input"), {})
    return told.get(1, 0), told.get(0, 0)


FORMAT = Format(
    name=NAME,
    label="ncnn",
    rank=200,
    type=ModelType.NCNN,
    suffixes=(".param",),
    is_data=lambda path, others: path.endswith(".bin") and f"{path[:-4]}.param" in others,
    read=read,
    usage=Usage(
        "ncnn",
        "pip install ncnn",
        "import ncnn\n\nnet = ncnn.Net()\nnet.load_param({path!r})\n"
        'net.load_model({path!r}.removesuffix(".param") + ".bin")',
    ),
)
