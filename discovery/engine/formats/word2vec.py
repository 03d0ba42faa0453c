"""Word vectors as word2vec writes them, binary (``.bin``) or as text (``.vec``), and GloVe's.

A line with the number of words and their width, then each word with its numbers. GloVe omits the
first line: the number of words follows only from the whole file.

Source: word2vec.c (``fwrite`` of ``vocab`` and ``syn0``) of https://code.google.com/p/word2vec and
``save_word2vec_format`` of https://github.com/piskvorky/gensim.
"""

from __future__ import annotations

import re
from math import isfinite
from struct import unpack
from typing import BinaryIO

from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format, Usage
from discovery.engine.core.types import Header, Tensor
from discovery.engine.core.vocabulary import ModelType

NAME = "word2vec"

MAX_WIDTH = 1 << 16
MAX_WORDS = 1 << 28
MAX_WORD = 1_024
HEAD_BYTES = 64
#: A word, and as many numbers as are looked at of it.
SAMPLE = 8_192
#: Of a file without a first line: lines that are looked at, and numbers that each has at least.
LINES = 8
MIN_WIDTH = 10

_SIZES = re.compile(rb"([1-9]\d{0,8}) ([1-9]\d{0,4})\r?\n")
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


def read(stream: BinaryIO, size: int) -> Header:
    """Raises ``NotThisFormat`` or ``InvalidHeader``."""
    head = stream.read(HEAD_BYTES)
    sizes = _SIZES.match(head)
    if sizes is None:
        return _headless(head + stream.read(SAMPLE * 4))
    words, width = int(sizes[1]), int(sizes[2])
    if words > MAX_WORDS or width > MAX_WIDTH:
        raise NotThisFormat(f"nobody has {words:,} words of {width:,} numbers")
    stream.seek(sizes.end())
    sample = stream.read(SAMPLE)
    start = sizes.end()
    if _is_text(sample, width, whole=start + len(sample) >= size):
        smallest, container = words * (2 * width + 2), "text"
    elif _is_binary(sample, width):
        smallest, container = words * (4 * width + 2), "binary"
    else:
        raise NotThisFormat("its first line is not followed by words with numbers")
    vectors = Tensor("vectors", "F32", (words, width), start, 4 * words * width)
    return Header(
        format=NAME,
        tensors=[vectors] if container == "binary" else [],
        metadata={"container": container, "words": words},
        parameter_count=words * width,
        dtype=None if container == "text" else "F32",
        expected_size=start + smallest,
        fields={"vocab_size": words, "embedding_length": width, "architecture": "word2vec"},
        task="feature-extraction",
    )


def _headless(sample: bytes) -> Header:
    """Lines of a word and its numbers, as many in each; the last one may be cut by the sample."""
    lines = [line.rstrip(b"\r ").split(b" ") for line in sample.split(b"\n")[:-1]][:LINES]
    width = len(lines[0]) - 1 if len(lines) > 1 else 0
    if width < MIN_WIDTH or not all(_is_vector(line, width) for line in lines):
        raise NotThisFormat("it does not start with a number of words and their width")
    return Header(
        format=NAME,
        metadata={"container": "text without a first line"},
        fields={"embedding_length": width, "architecture": "GloVe"},
        task="feature-extraction",
    )


def _is_vector(line: list[bytes], width: int) -> bool:
    return bool(line[0]) and len(line) == width + 1 and all(map(_NUMBER.fullmatch, line[1:]))


def _is_text(sample: bytes, width: int, *, whole: bool) -> bool:
    """Whether the first word is followed by numbers as text."""
    line, end, _ = sample.partition(b"\n")
    word, *numbers = line.strip(b"\r ").split(b" ")
    if not word or len(word) > MAX_WORD:
        return False
    if not end and not whole:
        numbers = numbers[:-1]  # cut by the sample
    elif len(numbers) != width:
        # A word that holds a blank, as phrases do.
        return width < len(numbers) <= width + 8 and all(map(_NUMBER.fullmatch, numbers[-width:]))
    return bool(numbers) and all(map(_NUMBER.fullmatch, numbers))


def _is_binary(sample: bytes, width: int) -> bool:
    """Whether the first word is followed by 32-bit floats of a size that vectors have."""
    end = sample.find(b" ", 1, MAX_WORD)
    if end < 0:
        return False
    word, data = sample[:end].lstrip(b"\n"), sample[end + 1 : end + 1 + 4 * width]
    count = len(data) // 4
    if not word or any(letter < 0x20 for letter in word):
        return False
    if not count:
        raise InvalidHeader("the file ends behind its first word", end)
    numbers = unpack(f"<{count}f", data[: 4 * count])
    return all(isfinite(n) and abs(n) < 1e4 for n in numbers) and any(
        abs(n) > 1e-12 for n in numbers
    )


def _magic(head: bytes, suffix: str) -> bool:
    return suffix in (".bin", ".vec", ".txt", ".w2v", ".model") and bool(_SIZES.match(head))


FORMAT = Format(
    name=NAME,
    label="word2vec",
    rank=165,
    type=ModelType.WORD2VEC,
    tried_for=(".bin",),
    names=(
        (".vec", r"(?P<stem>.*)\.vec"),
        (".w2v", r"(?P<stem>.*)\.w2v"),
        (
            ".txt",
            r"(?P<stem>.*(?:w2v|word2vec|glove|numberbatch|vectors|embeddings?|\d{2,3}d).*)\.txt",
        ),
    ),
    magic=_magic,
    knows_its_size=True,
    read=read,
    usage=Usage(
        "gensim",
        "pip install gensim",
        "from gensim.models import KeyedVectors\n\n"
        'vectors = KeyedVectors.load_word2vec_format({path!r}, binary={path!r}.endswith(".bin"))\n'
        "print(vectors.most_similar(vectors.index_to_key[0]))",
    ),
)
