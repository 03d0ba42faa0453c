"""Files from before GGUF: llama.cpp's ggml, ggmf, ggjt and ggla (adapters), and whisper.cpp's ggml.

Nothing in them names the architecture: the numbers at the start must make sense as Llama's or
Whisper's, or the file is only recognized. Sources: ``convert.py`` and ``llama.cpp`` of
https://github.com/ggml-org/llama.cpp before August 2023; ``whisper_model_load`` of whisper.cpp.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from struct import unpack
from typing import Any, BinaryIO

from discovery.engine.core.binary import Reader
from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format, Usage
from discovery.engine.core.types import Header, Problem, Tensor
from discovery.engine.core.vocabulary import ModelType, Severity
from discovery.engine.formats.ggml_types import FILE_TYPES, TENSOR_TYPES

NAME = "ggml"

#: As they lie in the file: 0x67676d6c and its successors, little-endian.
MAGICS = {b"lmgg": "ggml", b"fmgg": "ggmf", b"tjgg": "ggjt", b"algg": "ggla"}
VERSIONS = {"ggml": 0, "ggmf": 1, "ggjt": 3, "ggla": 1}
MAX_VOCABULARY = 300_000
MAX_TOKEN_BYTES = 4_096
MAX_NAME_BYTES = 256
MAX_TENSORS = 20_000
ALIGNMENT = 32

_LLAMA = (
    "vocab_size",
    "embedding_length",
    "multiple_of",
    "head_count",
    "layer_count",
    "rotary_dimensions",
    "file_type",
)
_WHISPER = (
    "vocab_size", "audio_context_length", "audio_embedding_length", "audio_head_count",
    "audio_layer_count", "context_length",
    "embedding_length", "head_count", "layer_count", "mel_bins", "file_type",
)  # fmt: skip
#: Blocks as they were before ggjt version 3 (scales of 32 bits), and the types 4 and 5 that were
#: given up.
_OLD_TYPES = TENSOR_TYPES | {
    2: ("Q4_0", 32, 20),
    3: ("Q4_1", 32, 24),
    4: ("Q4_2", 16, 10),
    5: ("Q4_3", 16, 12),
    7: ("Q5_1", 32, 24),
    8: ("Q8_0", 32, 36),
}


def read(stream: BinaryIO, size: int) -> Header:
    """Numbers, tensors and ``expected_size``.

    Raises ``NotThisFormat`` or ``InvalidHeader``; data are skipped by their length.
    """
    kind = MAGICS.get(stream.read(4))
    if kind is None:
        raise NotThisFormat("it does not start with one of the magic numbers of ggml")
    reader = Reader(stream, size)
    reader.position = 4
    version = reader.u32("the version") if VERSIONS[kind] else 0
    if not min(VERSIONS[kind], 1) <= version <= VERSIONS[kind]:
        raise InvalidHeader(f"{kind} has no version {version}", 4)
    metadata: dict[str, Any] = {"container": kind, "version": version}
    if kind == "ggla":
        metadata |= {
            "layout": "adapter",
            "rank": reader.u32("the rank"),
            "alpha": reader.u32("alpha"),
        }
        return _header(reader, metadata, TENSOR_TYPES, aligned=True, wanted=2)
    start, count = reader.position, min(len(_WHISPER), reader.left // 4)
    numbers = unpack(f"<{count}I", reader.exact(4 * count, "the numbers"))
    if count < len(_LLAMA):
        raise InvalidHeader("the file ends inside its numbers", size)
    if _is_llama(numbers):
        return _read_llama(
            reader, start, metadata | dict(zip(_LLAMA, numbers, strict=False)), kind, version
        )
    if kind == "ggml" and _is_whisper(numbers):
        return _read_whisper(reader, metadata | dict(zip(_WHISPER, numbers, strict=True)))
    problem = Problem(
        "unknown_layout",
        "the numbers at its start are neither Llama's nor Whisper's: nothing more is known",
        "",
        Severity.WARNING,
    )
    return Header(format=NAME, metadata=metadata, problems=[problem])


def _is_llama(numbers: tuple[int, ...]) -> bool:
    vocabulary, embedding, multiple, heads, layers, rotary, file_type = numbers[:7]
    return (
        0 < vocabulary <= MAX_VOCABULARY
        and 0 < heads <= 1_024
        and 0 < embedding <= 1 << 16
        and rotary * heads == embedding
        and 0 < multiple <= 1 << 16
        and 0 < layers <= 1_024
        and file_type in {*FILE_TYPES, 4, 5, 6}
    )


def _is_whisper(numbers: tuple[int, ...]) -> bool:
    if len(numbers) < len(_WHISPER):
        return False
    (
        vocabulary,
        audio_context,
        audio_width,
        audio_heads,
        audio_layers,
        context,
        width,
        heads,
        layers,
        mels,
        _,
    ) = numbers
    small = all(
        0 < number <= 1 << 14
        for number in (
            audio_context,
            audio_width,
            audio_heads,
            audio_layers,
            context,
            width,
            heads,
            layers,
        )
    )
    return (
        small
        and 0 < vocabulary <= MAX_VOCABULARY
        and mels in (80, 128)
        and width % heads == 0
        and audio_width % audio_heads == 0
    )


def _read_llama(
    reader: Reader, start: int, metadata: dict[str, Any], kind: str, version: int
) -> Header:
    reader.seek(start + 4 * len(_LLAMA))
    _skip_vocabulary(reader, metadata["vocab_size"], score=4 if version else 0)
    metadata |= {"architecture": "llama", "layout": "llama"}
    types = TENSOR_TYPES if kind == "ggjt" and version >= 3 else _OLD_TYPES
    return _header(
        reader, metadata, types, aligned=kind == "ggjt", wanted=3 + 9 * metadata["layer_count"]
    )


def _read_whisper(reader: Reader, metadata: dict[str, Any]) -> Header:
    quantizer, file_type = divmod(metadata["file_type"], 1_000)
    metadata |= {"architecture": "whisper", "layout": "whisper", "file_type": file_type}
    mels, filters = (
        reader.u32("the number of mel bins"),
        reader.u32("the length of the mel filters"),
    )
    reader.skip(4 * mels * filters, "the mel filters")
    words = reader.u32("the number of words")
    if words > MAX_VOCABULARY:
        raise InvalidHeader(f"it claims {words:,} words", reader.position - 4)
    _skip_vocabulary(reader, words, score=0)
    types = TENSOR_TYPES if quantizer >= 2 or file_type < 2 else _OLD_TYPES
    header = _header(
        reader,
        metadata,
        types,
        aligned=False,
        wanted=11 + 15 * metadata["audio_layer_count"] + 24 * metadata["layer_count"],
    )
    told = ("architecture", "vocab_size", "context_length", "embedding_length", "layer_count")
    return replace(
        header,
        type=ModelType.WHISPER_CPP,
        fields={name: metadata[name] for name in told}
        | {"custom": {"audio_context_length": metadata["audio_context_length"]}},
        task="automatic-speech-recognition",
    )


def _skip_vocabulary(reader: Reader, words: int, *, score: int) -> None:
    for _ in range(words):
        length = reader.u32("the length of a word")
        if length > MAX_TOKEN_BYTES:
            raise InvalidHeader(f"a word claims {length:,} bytes", reader.position - 4)
        # Read, not sought: most words are shorter than a seek is dear.
        reader.exact(length + score, "a word")


def _header(
    reader: Reader,
    metadata: dict[str, Any],
    types: dict[int, tuple[str, int, int]],
    *,
    aligned: bool,
    wanted: int,
) -> Header:
    """Tensor headers and data alternate: a file truncated inside a tensor reveals its minimum
    length.
    """
    tensors: list[Tensor] = []
    end = reader.position
    while end < reader.size:
        if len(tensors) >= MAX_TENSORS:
            raise InvalidHeader(f"it holds more than {MAX_TENSORS:,} tensors", end)
        reader.seek(end)
        tensors.append(_tensor(reader, types, aligned))
        end = tensors[-1].offset + tensors[-1].size
    problems = []
    if len(tensors) < wanted and end <= reader.size:
        message = (
            f"it holds {len(tensors):,} of {wanted:,} tensors: the file is cut short, or it is one"
            " part of several"
        )
        problems.append(Problem("tensors_missing", message, "", Severity.ERROR, end))
    held: dict[str, int] = {}
    for tensor in tensors:
        held[tensor.dtype] = held.get(tensor.dtype, 0) + tensor.size
    count = sum(prod(t.shape) for t in tensors)
    main = max(held, key=held.__getitem__, default=None)
    declared = (
        FILE_TYPES.get(metadata.get("file_type", -1)) if metadata.get("layout") == "llama" else None
    )
    return Header(
        format=NAME,
        tensors=tensors,
        metadata=metadata,
        parameter_count=count or None,
        quantization=(
            declared if declared and main and declared.split("_")[0] == main.split("_")[0] else main
        ),
        bits_per_weight=round(sum(held.values()) * 8 / count, 2) if count else None,
        expected_size=end,
        problems=problems,
    )


def _tensor(reader: Reader, types: dict[int, tuple[str, int, int]], aligned: bool) -> Tensor:
    start = reader.position
    dimensions, length, kind = unpack("<3I", reader.exact(12, "a tensor's description"))
    if not 1 <= dimensions <= 4 or not 1 <= length <= MAX_NAME_BYTES or kind not in types:
        raise InvalidHeader(
            f"a tensor claims {dimensions:,} dimensions, a name of {length:,} bytes and the type"
            f" {kind:,}",
            start,
        )
    shape = unpack(f"<{dimensions}I", reader.exact(4 * dimensions, "a tensor's shape"))[::-1]
    name = reader.exact(length, "a tensor's name").decode("utf-8", "replace")
    label, block, width = types[kind]
    if shape[-1] % block:
        raise InvalidHeader(
            f"rows of {shape[-1]:,} in {name[:80]!r} are not made of blocks of {block}", start
        )
    offset = -(-reader.position // ALIGNMENT) * ALIGNMENT if aligned else reader.position
    return Tensor(name, label, shape, offset, prod(shape) // block * width)


FORMAT = Format(
    name=NAME,
    label="GGML",
    rank=140,
    type=ModelType.LLAMA_CPP,
    suffixes=(".ggml",),
    tried_for=(".bin",),
    magic=lambda head, suffix: head[:4] in MAGICS and suffix in (".bin", ".ggml", ".gguf"),
    knows_its_size=True,
    read=read,
    usage=Usage(
        "whisper.cpp",
        "pip install pywhispercpp",
        "from pywhispercpp.model import Model\n\n"
        "model = Model({path!r})\n"
        'print(" ".join(part.text for part in model.transcribe("speech.wav")))',
        (ModelType.WHISPER_CPP,),
    ),
)
