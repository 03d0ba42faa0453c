"""Weight-file formats: one module each, all with ``read(stream, size) -> Header``. The first bytes choose, the suffix only helps."""

from __future__ import annotations

from typing import BinaryIO, Protocol

from discovery.engine.errors import InDisguise, NotThisFormat
from discovery.engine.formats import (
    coreml,
    ctranslate2,
    flax,
    ggml,
    gguf,
    keras,
    nemo,
    onnx,
    openvino,
    pytorch,
    safetensors,
    tensorflow,
    tensorrt,
    tflite,
)
from discovery.engine.types import Header


class Format(Protocol):
    """What each module of this package is."""

    NAME: str

    def read(self, stream: BinaryIO, size: int) -> Header: ...


#: Problems that make a model UNSAFE rather than CORRUPT.
UNSAFE_CODES = frozenset(
    {
        "unsafe_pickle", "unsafe_import", "pickle_in_disguise", "archive_tampered", "lambda_layer", "external_data_outside", "unsafe_template",
        "python_op",
    }
)  # fmt: skip

_GGML_MAGICS = (b"lmgg", b"fmgg", b"tjgg", b"algg")

#: By suffix, in the order they are tried, for files whose first bytes are not telling.
_BY_SUFFIX = {
    "safetensors": (safetensors,), "gguf": (gguf,), "ggml": (ggml,), "onnx": (onnx,), "ort": (onnx,), "bin": (pytorch, ctranslate2, ggml),
    "xml": (openvino,), "pb": (tensorflow,), "index": (tensorflow,), "h5": (keras,), "keras": (keras,), "tflite": (tflite,), "msgpack": (flax,),
    "mlmodel": (coreml,), "json": (coreml,), "nemo": (nemo,), "engine": (tensorrt,), "plan": (tensorrt,), "trt": (tensorrt,),
}  # fmt: skip


def read(stream: BinaryIO, size: int, name: str, head: bytes) -> Header:
    """The header of the file ``name``, whose first bytes are ``head``. Raises ``NotThisFormat`` or ``InvalidHeader``."""
    if head[:1] == b"<" and not name.lower().endswith((".xml", ".mlmodel")):
        raise NotThisFormat("it is a web page: the download was refused or redirected")
    suffix = name.lower().rpartition(".")[2]
    if suffix == "safetensors" and head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05":
        raise InDisguise(
            "it is a Python pickle, which can run code, under a name that promises otherwise"
        )
    reason: NotThisFormat | None = None
    for reader in _candidates(suffix, head):
        stream.seek(0)
        try:
            return reader.read(stream, size)
        except NotThisFormat as error:
            reason = reason or error
    raise reason or NotThisFormat("no reader knows it")


def _candidates(suffix: str, head: bytes) -> tuple[Format, ...]:
    if head[:4] == b"GGUF":
        return (gguf,)
    if head[:4] in _GGML_MAGICS and suffix in ("bin", "ggml", "gguf"):
        return (ggml,)
    if head[4:8] == b"TFL3":
        return (tflite,)
    if head[:8] == b"\x89HDF\r\n\x1a\n":
        return (keras,)
    length = int.from_bytes(head[:8], "little")
    if (
        suffix != "safetensors"
        and head[8:10] in (b'{"', b"{ ")
        and length <= safetensors.MAX_HEADER_BYTES
    ):
        return (safetensors,)
    return _BY_SUFFIX.get(suffix, (pytorch,))


__all__ = ["UNSAFE_CODES", "Format", "read"]
