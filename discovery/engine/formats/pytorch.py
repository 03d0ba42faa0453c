"""PyTorch checkpoints: zip archives, legacy files, TorchScript, and plain pickles.

They are listed, never loaded: see ``discovery.engine.pickles.pickles``.
Source: ``torch/serialization.py`` (``_save``, ``_legacy_save``),
``torch/csrc/jit/docs/serialization.md``.
"""

from __future__ import annotations

from io import BytesIO
from typing import Any, BinaryIO

from discovery.engine.archives import decompression
from discovery.engine.archives.archives import Inspector
from discovery.engine.archives.pickle_inspector import MAX_STREAMS
from discovery.engine.archives.torch_tensors import LEGACY_MAGIC
from discovery.engine.archives.torch_zip import LOCAL_MAGIC, Archive, Member
from discovery.engine.core.errors import InvalidHeader, NotThisFormat
from discovery.engine.core.format_registry import Format, Usage
from discovery.engine.core.types import Header, Problem
from discovery.engine.core.vocabulary import ModelType, Severity
from discovery.engine.formats.torch_contents import NAME, Contents, python_object
from discovery.engine.pickles.pickle_owner import owner
from discovery.engine.pickles.pickles import Allowance, Object, Scanner

__all__ = ["NAME", "read"]

_ALL_BUT_PICKLES = frozenset({"zip", "npy", "packed", "opaque", "tar"})


def read(stream: BinaryIO, size: int) -> Header:
    """Raises ``NotThisFormat`` or ``InvalidHeader``.

    ``imports`` and ``problems`` say what loading the file would run.
    """
    head = stream.read(512)
    if head[:4] == LOCAL_MAGIC:
        return _read_zip(stream, size, head)
    if hidden := _hidden_archive(stream, size):
        return _read_zip(stream, size, head, hidden)
    if not decompression.looks_like_pickle(head):
        for kind in decompression.kinds(head):
            if kind in ("packed", "tar", "npy"):
                return _inspected(stream, size, kind)
    return _read_pickles(stream, size, head)


def _inspected(stream: BinaryIO, size: int, kind: str) -> Header:
    """What other libraries make under these names, and torch made before 0.1.10: compressed
    pickles, tar archives, arrays.
    """
    inspector = Inspector()
    inspector.look(stream, size, "model.pkl")
    if inspector.broken and not inspector.imports:
        raise inspector.broken
    if not inspector.found:
        raise NotThisFormat("nothing in it is a pickle")
    if found := owner(None, inspector.imports):
        return python_object(found, kind, list(inspector.imports), inspector.problems)
    return Header(
        format=NAME,
        metadata={"container": kind},
        imports=list(inspector.imports),
        problems=inspector.problems,
    )


def _hidden_archive(stream: BinaryIO, size: int) -> Archive | None:
    """A PyTorch archive behind other content: loaders that search from the end find it."""
    try:
        archive = Archive(stream, size)
    except InvalidHeader:
        return None
    return archive if any(member.name.endswith("data.pkl") for member in archive.members) else None


def _read_pickles(stream: BinaryIO, size: int, head: bytes) -> Header:
    """Legacy: magic, protocol, system, the object, the keys of its storages, then the storages.

    Else pickles of any kind.
    """
    scanner = Scanner(stream, size)
    certain = decompression.looks_like_pickle(head)
    try:
        value = scanner.load()
    except InvalidHeader as error:
        if certain:
            raise
        raise NotThisFormat(f"it is not a pickle: {error}") from error
    if value == LEGACY_MAGIC:
        return _read_legacy(scanner)
    if not certain and not scanner.acts and type(value) not in (Object, list, tuple):
        raise NotThisFormat("it is not a pickle that holds anything")
    contents = Contents()
    contents.add_value(value)
    for _ in range(MAX_STREAMS):
        if scanner.at_end:
            break
        end = scanner.position
        try:
            contents.add_value(scanner.load())
        except InvalidHeader:
            contents.add_problem(
                Problem(
                    "trailing_data",
                    f"{size - end:,} bytes follow the pickle",
                    "",
                    Severity.WARNING,
                    end,
                )
            )
            break
    else:
        text = (
            f"it cannot be checked to its end (more than {MAX_STREAMS:,} pickles follow each"
            " other): do not load it"
        )
        contents.add_problem(Problem("unsafe_pickle", text, "", Severity.ERROR, scanner.position))
    contents.add_scanned(scanner)
    return contents.header("pickle")


def _read_legacy(scanner: Scanner) -> Header:
    values: list[Any] = []
    while len(values) < 4 and not (scanner.stopped or scanner.broken):
        values.append(scanner.load())
    contents = Contents()
    contents.add_scanned(scanner)
    contents.add_value(values[2] if len(values) > 2 else None)
    if len(values) < 4 or scanner.stopped or scanner.broken:
        return contents.header("legacy")
    if type(values[3]) is not list:
        raise InvalidHeader("the list of storages is missing", scanner.position)
    storages = contents.storages
    offsets: dict[str, int] = {}
    position = scanner.position
    for key in values[3]:
        storage = storages.get(str(key)) if type(key) in (str, int) else None
        if storage is None:
            return contents.header("legacy", offsets)
        offsets[storage.key] = position + 8
        position += 8 + storage.size
    return contents.header("legacy", offsets, position)


def _read_zip(stream: BinaryIO, size: int, head: bytes, archive: Archive | None = None) -> Header:
    if archive is None:
        try:
            archive = Archive(stream, size)
        except InvalidHeader as error:
            if b"data.pkl" in head:
                raise
            raise NotThisFormat(f"it is not one of torch's archives: {error}") from error
    mains = [member for member in archive.members if member.name.rpartition("/")[2] == "data.pkl"]
    if not mains:
        return _read_other_zip(stream, size)
    root = mains[0].name.removesuffix("data.pkl")
    contents, inspector = Contents(), Inspector(allowance := Allowance())
    if decompression.looks_like_pickle(head):
        inspector.look(
            decompression.window(stream, 0, size),
            size,
            "",
            "the start of the file",
            done=_ALL_BUT_PICKLES,
        )
    _read_main(contents, archive, mains[0], allowance)
    _check_members(contents, archive, root, inspector)
    contents.add_scanned(inspector)
    container = "zip"
    if any(
        member.name.startswith(f"{root}code/") or member.name == f"{root}constants.pkl"
        for member in archive.members
    ):
        container = "torchscript"
        text = "it is a TorchScript program: loading it runs the code it brings along"
        contents.add_problem(Problem("torchscript_code", text, "", Severity.WARNING))
    return contents.header(container)


def _read_other_zip(stream: BinaryIO, size: int) -> Header:
    """A zip archive that PyTorch did not write is not a checkpoint, but it may contain code."""
    inspector = Inspector()
    inspector.look(stream, size, "")
    if not inspector.is_unsafe:
        raise NotThisFormat("it is an archive without data.pkl")
    return Header(
        format=NAME,
        metadata={"container": "zip"},
        imports=list(inspector.imports),
        problems=inspector.problems,
    )


def _read_main(contents: Contents, archive: Archive, member: Member, allowance: Allowance) -> None:
    data = archive.read(member)
    if data is None:
        return
    scanner = Scanner(BytesIO(data), len(data), allowance)
    try:
        contents.add_value(scanner.load())
    except InvalidHeader as error:
        if not archive.problems:
            raise InvalidHeader(f"{member.name[:80]}: {error}") from error
        contents.add_problem(
            Problem("invalid_pickle", f"{member.name[:80]}: {error}", "", Severity.ERROR)
        )
    contents.add_scanned(scanner)


def _check_members(contents: Contents, archive: Archive, root: str, inspector: Inspector) -> None:
    """Storages that are missing or short, and pickles under other names.

    (Debug tables of TorchScript are left out: they are read by C++ code that imports nothing.)
    """
    members = {member.name: member for member in archive.members}
    used = {f"{root}data.pkl"}
    for key, storage in contents.storages.items():
        name = f"{root}data/{key}"
        used.add(name)
        have = members[name].size if name in members else 0
        if have < storage.size:
            text = (
                f"{name[:80]} has {have:,} of {storage.size:,} bytes"
                if name in members
                else f"{name[:80]} is missing"
            )
            contents.add_problem(
                Problem("truncated", f"the archive is incomplete: {text}", "", Severity.ERROR)
            )
    others = (
        member
        for member in archive.members
        if member.size and member.name not in used and not member.name.endswith(".debug_pkl")
    )
    inspector.members(archive, others)


FORMAT = Format(
    name=NAME,
    label="PyTorch",
    rank=30,
    type=ModelType.PYTORCH,
    suffixes=(".bin", ".pt", ".pth", ".th", ".ckpt", ".pkl", ".pickle"),
    names=((".tar", r"(?P<stem>.*)\.(?:pth|pt|ckpt)\.tar"),),
    tried_for=(".joblib", ".jit", ".ptl", ".torchscript", ".model"),
    aliases=("bin", "pt", "pth", "ckpt"),
    knows_its_size=True,
    holds_pickles=True,
    is_archive=True,
    read=read,
    loader="discovery.loading.loaders.pytorch",
    usage=Usage(
        "PyTorch",
        "pip install torch",
        'import torch\n\nstate = torch.load({path!r}, map_location="cpu", weights_only=True)'
        "  # weights_only: no code of the file runs",
    ),
)
