"""fastText: ``.bin`` and the quantized ``.ftz``.

Arguments, dictionary, input and output matrix; files from before version 11 have no magic.

Source: ``FastText::loadModel``, ``Args::load``, ``Dictionary::load`` and ``QMatrix::load`` of
https://github.com/facebookresearch/fastText.
"""

from __future__ import annotations

from math import prod
from struct import Struct
from typing import Any, BinaryIO

from discovery.engine.core.binary import Reader
from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format, Usage
from discovery.engine.core.types import Header, Problem, Tensor
from discovery.engine.core.vocabulary import ModelType, Severity

NAME = "fasttext"

#: 793,712,314, little-endian.
MAGIC = b"\xba\x16\x4f\x2f"
VERSIONS = (11, 12)
_ARGUMENTS = Struct("<12id")
_ARGUMENT_NAMES = (
    "embedding_length", "window", "epochs", "least_count", "negatives", "word_ngrams", "loss",
    "model", "buckets", "least_ngram", "most_ngram", "update_rate", "threshold",
)  # fmt: skip
_COUNTS = Struct("<3iq")
_LOSSES = {1: "hierarchical softmax", 2: "negative sampling", 3: "softmax", 4: "one-vs-all"}
_MODELS = {1: "cbow", 2: "skipgram", 3: "supervised"}
MAX_DIMENSIONS = 1 << 16
MAX_WORDS = 1 << 28
#: Of a dictionary: it is walked to find what lies behind it, and larger ones are not.
MAX_DICTIONARY = 2 << 20
MAX_WORD = 4_096
_BEHIND_WORD = 9  # a count of 64 bits and a type of 8


def read(stream: BinaryIO, size: int) -> Header:
    """Raises ``NotThisFormat`` or ``InvalidHeader``.

    The matrices behind a large dictionary are known by their shapes alone.
    """
    reader = Reader(stream, size)
    version = _version(reader)
    if version is None and size < _ARGUMENTS.size + _COUNTS.size:
        raise NotThisFormat("it does not start like a fastText model")
    told = _ARGUMENTS.unpack(reader.exact(_ARGUMENTS.size, "the arguments"))
    arguments = dict(zip(_ARGUMENT_NAMES, told, strict=True))
    counts = _COUNTS.unpack(reader.exact(_COUNTS.size, "the sizes of the dictionary"))
    sound = _is_sound(arguments, counts)
    if not sound and version is None:
        raise NotThisFormat("it does not start like a fastText model")
    metadata: dict[str, Any] = {
        "version": version,
        "model": _MODELS.get(arguments["model"]),
        "loss": _LOSSES.get(arguments["loss"]),
        **{name: arguments[name] for name in _ARGUMENT_NAMES if name not in ("model", "loss")},
        "words": counts[1],
        "labels": counts[2],
    }
    if not sound:
        text = "the numbers at its start make no sense as fastText's: nothing more is known"
        problem = Problem("unknown_layout", text, "", Severity.WARNING)
        return Header(format=NAME, metadata={"version": version}, problems=[problem])
    pruned = reader.exact(8, "the size of the pruning") if version else b""
    left = int.from_bytes(pruned, "little", signed=True)
    tensors, end = _matrices(reader, arguments, counts, max(left, 0), version)
    kind = metadata["model"]
    quantized = any(tensor.dtype == "PQ" for tensor in tensors)
    return Header(
        format=NAME,
        tensors=tensors,
        metadata=metadata,
        parameter_count=sum(prod(tensor.shape) for tensor in tensors) or None,
        dtype=None if quantized else "F32",
        quantization="PQ" if quantized else None,
        expected_size=end,
        fields={
            "architecture": f"fastText {kind}",
            "vocab_size": counts[1] or None,
            "embedding_length": arguments["embedding_length"],
        },
        task="text-classification" if kind == "supervised" else "feature-extraction",
    )


def _version(reader: Reader) -> int | None:
    """``None`` for a file from before there was a magic."""
    if reader.size < 8:
        raise NotThisFormat("it is too short for a fastText model")
    if reader.exact(4, "the magic") != MAGIC:
        reader.seek(0)
        return None
    version = reader.u32("the version")
    if version not in VERSIONS:
        raise InvalidHeader(f"fastText has no version {version:,} of its files", 4)
    return version


def _is_sound(arguments: dict[str, Any], counts: tuple[int, ...]) -> bool:
    size, words, labels, tokens = counts
    return (
        0 < arguments["embedding_length"] <= MAX_DIMENSIONS
        and arguments["loss"] in _LOSSES
        and arguments["model"] in _MODELS
        and 0 <= arguments["buckets"] <= MAX_WORDS
        and all(0 <= arguments[name] < 1_000 for name in ("least_ngram", "most_ngram"))
        and 0 < arguments["word_ngrams"] < 1_000
        and 0 <= arguments["threshold"] <= 1
        and 0 < size <= MAX_WORDS
        and min(words, labels, tokens) >= 0
        and size == words + labels
    )


def _matrices(
    reader: Reader,
    arguments: dict[str, Any],
    counts: tuple[int, ...],
    pruned: int,
    version: int | None,
) -> tuple[list[Tensor], int]:
    """The input and the output matrix, and where the file has to end at least."""
    entries, words, labels = counts[:3]
    if not _skip_words(reader, entries):
        width = arguments["embedding_length"]
        rows = words + arguments["buckets"], labels if arguments["model"] == 3 else words
        shapes = [(count, width) for count in rows]
        tensors = [
            Tensor(name, "F32", shape, -1, 4 * prod(shape))
            for name, shape in zip(("input", "output"), shapes, strict=True)
        ]
        return tensors, reader.position + (1 + _BEHIND_WORD) * entries
    reader.skip(8 * pruned, "the pruning")
    packed = version is not None and reader.exact(1, "a mark")[0] == 1
    first = _packed(reader, "input") if packed else _plain(reader, "input")
    # An output is only packed with its input.
    second = version is not None and reader.exact(1, "a mark")[0] == 1 and packed
    last = _packed(reader, "output") if second else _plain(reader, "output")
    if first.shape[1] != arguments["embedding_length"]:
        raise InvalidHeader(
            f"the input matrix has rows of {first.shape[1]:,} numbers, the arguments say"
            f" {arguments['embedding_length']:,}",
            first.offset,
        )
    return [first, last], reader.position


def _skip_words(reader: Reader, entries: int) -> bool:
    """Whether the whole dictionary was passed over, without reading too much."""
    start, data, at = reader.position, b"", 0
    for _ in range(entries):
        end = data.find(b"\0", at)
        while end < 0 or end + _BEHIND_WORD >= len(data):
            if reader.position - start >= MAX_DICTIONARY:
                return False
            if (end >= 0 and not reader.left) or (end < 0 and len(data) - at > MAX_WORD):
                raise InvalidHeader("a word of the dictionary has no end", reader.position)
            block = reader.exact(min(1 << 16, max(reader.left, 1)), "the dictionary")
            data, at = data[at:] + block, 0
            end = data.find(b"\0")
        at = end + 1 + _BEHIND_WORD
    reader.seek(reader.position - (len(data) - at))
    return True


def _plain(reader: Reader, name: str) -> Tensor:
    shape, offset = _shape(reader, name), reader.position
    # A file that is cut short says how long it should have been.
    reader.position += 4 * prod(shape)
    if reader.left > 0:
        reader.seek(reader.position)
    elif reader.left < 0 and name == "input":
        raise InvalidHeader(
            f"the {name} matrix needs {4 * prod(shape):,} bytes, the file has"
            f" {max(reader.size - offset, 0):,} left",
            offset,
        )
    return Tensor(name, "F32", shape, offset, 4 * prod(shape))


def _packed(reader: Reader, name: str) -> Tensor:
    """A product-quantized matrix: codes, centroids, and those of the norms."""
    norms = reader.exact(1, "a mark")[0] == 1
    shape, codes = _shape(reader, name), reader.u32("the number of codes")
    offset = reader.position
    reader.skip(codes, "the codes")
    _skip_centroids(reader)
    if norms:
        reader.skip(shape[0], "the codes of the norms")
        _skip_centroids(reader)
    return Tensor(name, "PQ", shape, offset, codes)


def _skip_centroids(reader: Reader) -> None:
    width = reader.u32("the width of a quantizer")
    reader.skip(12, "a quantizer")
    reader.skip(4 * 256 * width, "the centroids")


def _shape(reader: Reader, name: str) -> tuple[int, int]:
    rows, width = reader.u64("the rows of a matrix"), reader.u64("the width of a matrix")
    if rows > MAX_WORDS * 2 or not 0 < width <= MAX_DIMENSIONS:
        raise InvalidHeader(
            f"the {name} matrix claims {rows:,} rows of {width:,} numbers", reader.position - 16
        )
    return rows, width


FORMAT = Format(
    name=NAME,
    label="fastText",
    rank=160,
    type=ModelType.FASTTEXT,
    suffixes=(".ftz",),
    tried_for=(".bin",),
    magic=lambda head, _suffix: head[:4] == MAGIC,
    knows_its_size=True,
    read=read,
    usage=Usage(
        "fastText",
        "pip install fasttext",
        "import fasttext\n\nmodel = fasttext.load_model({path!r})\n"
        'print(model.get_sentence_vector("Some text"))',
    ),
)
