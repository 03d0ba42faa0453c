"""Write PyTorch checkpoints in the layout of ``torch.save``, with holes for the storages.

Source: ``torch/serialization.py`` (``_save`` and ``_legacy_save``).
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from struct import pack
from zlib import crc32

from discovery.demo.writers.sparse import TensorSpec, tensor_bytes, write_pieces, write_sparse

STORAGES = {
    "F64": "DoubleStorage", "F32": "FloatStorage", "F16": "HalfStorage", "BF16": "BFloat16Storage",
    "I64": "LongStorage", "I32": "IntStorage",
    "I16": "ShortStorage", "I8": "CharStorage", "U8": "ByteStorage", "BOOL": "BoolStorage",
}  # fmt: skip
LEGACY_MAGIC, LEGACY_PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
LEGACY_SYSTEM = {
    "protocol_version": 1001,
    "little_endian": True,
    "type_sizes": {"short": 2, "int": 4, "long": 4},
}
#: torch starts every storage at a multiple of this, so that it can be mapped.
ALIGNMENT = 64
_CRC_POLYNOMIAL = 0xEDB88320


def write_torch_zip(
    path: Path,
    tensors: Sequence[TensorSpec],
    *,
    wrapper: str | None = None,
    extra: Mapping[str, int | str] | None = None,
    root: str = "archive",
) -> None:
    """Write a state dict, bare or under the key ``wrapper``.

    ``extra`` are additional values, such as an epoch.
    """
    archive = _Archive(root)
    archive.add("data.pkl", _checkpoint(tensors, wrapper, extra or {}))
    archive.add("byteorder", b"little")
    for number, (_, dtype, shape) in enumerate(tensors):
        archive.add(f"data/{number}", tensor_bytes(dtype, shape))
    archive.add("version", b"3\n")
    write_pieces(path, archive.finish())


def write_torch_legacy(
    path: Path,
    tensors: Sequence[TensorSpec],
    *,
    wrapper: str | None = None,
    extra: Mapping[str, int | str] | None = None,
) -> None:
    """The layout before torch 1.6: five pickles, then every storage after its length."""
    keys = [str(number) for number in range(len(tensors))]
    pieces: list[bytes | int] = [
        pickle.dumps(value, 2) for value in (LEGACY_MAGIC, LEGACY_PROTOCOL, LEGACY_SYSTEM)
    ]
    pieces += [_checkpoint(tensors, wrapper, extra or {}, legacy=True), pickle.dumps(keys, 2)]
    for _, dtype, shape in tensors:
        pieces += [pack("<q", prod(shape)), tensor_bytes(dtype, shape)]
    write_pieces(path, pieces)


def write_pickle_with_import(path: Path, module: str, name: str, argument: str = "true") -> None:
    """A pickle that calls ``module.name(argument)`` when it is loaded.

    It is for tests that it never is: pick something harmless.
    """
    body = b"\x80\x02c" + f"{module}\n{name}\n".encode() + _text(argument) + b"\x85R."
    write_sparse(path, body, len(body))


def _checkpoint(
    tensors: Sequence[TensorSpec],
    wrapper: str | None,
    extra: Mapping[str, int | str],
    *,
    legacy: bool = False,
) -> bytes:
    parts = [
        _text(name) + _tensor(str(number), dtype, shape, legacy)
        for number, (name, dtype, shape) in enumerate(tensors)
    ]
    state = b"ccollections\nOrderedDict\n)R(" + b"".join(parts) + b"u"
    if wrapper is None and not extra:
        return b"\x80\x02" + state + b"."
    values = b"".join(
        _text(key) + (_text(value) if isinstance(value, str) else _number(value))
        for key, value in extra.items()
    )
    return b"\x80\x02}(" + _text(wrapper or "state_dict") + state + values + b"u."


def _tensor(key: str, dtype: str, shape: Sequence[int], legacy: bool) -> bytes:
    storage = (
        b"("
        + _text("storage")
        + f"ctorch\n{STORAGES[dtype]}\n".encode()
        + _text(key)
        + _text("cpu")
        + _number(prod(shape))
    )
    # Legacy storages may be views of others: this one is not.
    storage += (b"N" if legacy else b"") + b"tQ"
    strides = [prod(shape[position + 1 :]) for position in range(len(shape))]
    hooks = b"ccollections\nOrderedDict\n)R"
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n("
        + storage
        + b"K\0"
        + _tuple(shape)
        + _tuple(strides)
        + b"\x89"
        + hooks
        + b"tR"
    )


def _text(text: str) -> bytes:
    data = text.encode()
    return b"X" + pack("<I", len(data)) + data


def _number(value: int) -> bytes:
    return pickle.dumps(value, 2)[2:-1]


def _tuple(values: Sequence[int]) -> bytes:
    return b"(" + b"".join(map(_number, values)) + b"t"


class _Archive:
    """An uncompressed zip, every size in its zip64 fields as torch's own writer does it."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.pieces: list[bytes | int] = []
        self.directory: list[bytes] = []
        self.position = 0

    def add(self, name: str, content: bytes | int) -> None:
        """``content`` is the data, or the length of a hole."""
        encoded = f"{self.root}/{name}".encode()
        size, crc = (
            (content, crc_of_zeros(content))
            if isinstance(content, int)
            else (len(content), crc32(content))
        )
        start = self.position
        sizes = pack("<HHQQ", 1, 16, size, size)
        padding = -(start + 30 + len(encoded) + len(sizes) + 4) % ALIGNMENT
        filler = pack("<HH", 0x4246, padding) + b"Z" * padding
        common = pack("<HHHHIII", 0x800, 0, 0, 0x21, crc, 0xFFFFFFFF, 0xFFFFFFFF)
        head = (
            b"PK\x03\x04"
            + pack("<H", 45)
            + common
            + pack("<HH", len(encoded), len(sizes + filler))
            + encoded
            + sizes
            + filler
        )
        self.pieces += [head, content]
        self.position += len(head) + size
        located = pack("<HHQQQ", 1, 24, size, size, start)
        entry = (
            b"PK\x01\x02"
            + pack("<HH", 45, 45)
            + common
            + pack("<HHHHHII", len(encoded), len(located), 0, 0, 0, 0, 0xFFFFFFFF)
        )
        self.directory.append(entry + encoded + located)

    def finish(self) -> list[bytes | int]:
        directory, count = b"".join(self.directory), len(self.directory)
        end64 = b"PK\x06\x06" + pack(
            "<QHHIIQQQQ", 44, 45, 45, 0, 0, count, count, len(directory), self.position
        )
        locator = b"PK\x06\x07" + pack("<IQI", 0, self.position + len(directory), 1)
        end = b"PK\x05\x06" + pack(
            "<HHHHIIH", 0, 0, min(count, 0xFFFF), min(count, 0xFFFF), len(directory), 0xFFFFFFFF, 0
        )
        return [*self.pieces, directory + end64 + locator + end]


def crc_of_zeros(count: int) -> int:
    """Return the CRC-32 of ``count`` zero bytes without touching them.

    It uses powers of x modulo the polynomial, like zlib's ``crc32_combine``.
    """
    power, square, bits = 1 << 31, 1 << 30, count * 8
    while bits:
        if bits & 1:
            power = _multiply(power, square)
        square = _multiply(square, square)
        bits >>= 1
    return _multiply(power, 0xFFFFFFFF) ^ 0xFFFFFFFF


def _multiply(left: int, right: int) -> int:
    """The product of two polynomials modulo CRC-32's; the highest bit is the constant term."""
    product = 0
    for bit in range(31, -1, -1):
        if left >> bit & 1:
            product ^= right
        right = right >> 1 ^ (_CRC_POLYNOMIAL if right & 1 else 0)
    return product
