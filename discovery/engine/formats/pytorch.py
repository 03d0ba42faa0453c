"""PyTorch checkpoints: zip archives since 1.6, the five pickles of before, TorchScript, and bare pickles of any library.

They are listed, never loaded: see ``discovery.engine.pickles``.
Source: ``torch/serialization.py`` (``_save``, ``_legacy_save``), ``torch/csrc/jit/docs/serialization.md``.
"""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import Any, BinaryIO

from discovery.engine.errors import InvalidHeader, NotThisFormat
from discovery.engine.formats.torch_contents import NAME, Contents
from discovery.engine.formats.torch_zip import LOCAL_MAGIC, Archive, Member
from discovery.engine.pickles import Object, Scanner, looks_like_pickle
from discovery.engine.types import Header, Problem, Severity

__all__ = ["NAME", "read"]

LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
#: Pickles one after the other in a plain file; members of an archive that are looked into beside data.pkl, and their bytes in all.
MAX_STREAMS = 16
MAX_MEMBERS_CHECKED = 200
MAX_OTHER_PICKLES = 2 << 20


def read(stream: BinaryIO, size: int) -> Header:
    """Raises ``NotThisFormat`` or ``InvalidHeader``. ``imports`` and ``problems`` say what loading the file would run."""
    head = stream.read(512)
    if head[:4] == LOCAL_MAGIC:
        return _read_zip(stream, size, head)
    if hidden := _hidden_archive(stream, size):
        return _read_zip(stream, size, head, hidden)
    return _read_pickles(stream, size, head)


def _hidden_archive(stream: BinaryIO, size: int) -> Archive | None:
    """An archive of torch's behind something else: readers that look at the end of a file load it."""
    try:
        archive = Archive(stream, size)
    except InvalidHeader:
        return None
    return archive if any(member.name.endswith("data.pkl") for member in archive.members) else None


def _read_pickles(stream: BinaryIO, size: int, head: bytes) -> Header:
    """Legacy: magic, protocol, system, the object, the keys of its storages, then the storages. Else pickles of any kind."""
    scanner = Scanner(stream, size)
    certain = looks_like_pickle(head)
    try:
        value = scanner.load()
    except InvalidHeader as error:
        if certain:
            raise
        raise NotThisFormat(f"it is no pickle: {error}") from error
    if value == LEGACY_MAGIC:
        return _read_legacy(scanner)
    if not certain and not scanner.is_unsafe and type(value) not in (Object, list, tuple):
        raise NotThisFormat("it is no pickle that holds anything")
    contents = Contents()
    contents.add_value(value)
    for _ in range(MAX_STREAMS):
        if scanner.at_end:
            break
        end = scanner.position
        try:
            contents.add_value(scanner.load())
        except InvalidHeader:
            contents.add_problem(Problem("trailing_data", f"{size - end:,} bytes follow the pickle", "", Severity.WARNING, end))
            break
    else:
        contents.add_problem(Problem("trailing_data", f"more than {MAX_STREAMS} pickles follow each other", "", Severity.WARNING, scanner.position))
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
            raise NotThisFormat(f"it is no archive of torch's: {error}") from error
    mains = [member for member in archive.members if member.name.rpartition("/")[2] == "data.pkl"]
    if not mains:
        raise NotThisFormat("it is an archive without data.pkl")
    root = mains[0].name.removesuffix("data.pkl")
    contents = Contents()
    if looks_like_pickle(head):
        _scan(contents, stream, size, "the start of the file")
    _read_main(contents, archive, mains[0])
    _check_members(contents, archive, root, {member.name: member for member in archive.members})
    container = "zip"
    if any(member.name.startswith(f"{root}code/") or member.name == f"{root}constants.pkl" for member in archive.members):
        container = "torchscript"
        text = "it is a TorchScript program: loading it runs the code it brings along"
        contents.add_problem(Problem("torchscript_code", text, "", Severity.WARNING))
    for problem in archive.problems:
        contents.add_problem(problem)
    return contents.header(container)


def _read_main(contents: Contents, archive: Archive, member: Member) -> None:
    data = archive.read(member)
    if data is None:
        return
    scanner = Scanner(BytesIO(data), len(data))
    try:
        contents.add_value(scanner.load())
    except InvalidHeader as error:
        if not archive.problems:
            raise InvalidHeader(f"{member.name[:80]}: {error}") from error
        contents.add_problem(Problem("invalid_pickle", f"{member.name[:80]}: {error}", "", Severity.ERROR))
    contents.add_scanned(scanner)


def _scan(contents: Contents, stream: BinaryIO, size: int, where: str) -> None:
    """Notes what a pickle outside data.pkl imports. One that is broken harms nobody."""
    scanner = Scanner(stream, size)
    try:
        scanner.load()
    except InvalidHeader:
        return
    contents.add_scanned(scanner, where)


def _check_members(contents: Contents, archive: Archive, root: str, members: dict[str, Member]) -> None:
    """Storages that are missing or short, and pickles under other names."""
    used = {f"{root}data.pkl"}
    for key, storage in contents.storages.items():
        name = f"{root}data/{key}"
        used.add(name)
        have = members[name].size if name in members else 0
        if have < storage.size:
            text = f"{name[:80]} has {have:,} of {storage.size:,} bytes" if name in members else f"{name[:80]} is missing"
            contents.add_problem(Problem("truncated", f"the archive is incomplete: {text}", "", Severity.ERROR))
    _check_others(contents, archive, [member for member in archive.members if member.size and member.name not in used])


def _check_others(contents: Contents, archive: Archive, others: Sequence[Member]) -> None:
    """Pickles under names that torch does not look for. (Debug tables of TorchScript are read by C++ code that imports nothing.)"""
    left, passed_over = MAX_OTHER_PICKLES, max(len(others) - MAX_MEMBERS_CHECKED, 0)
    for member in others[:MAX_MEMBERS_CHECKED]:
        named_so = member.name.endswith((".pkl", ".pickle"))
        if member.name.endswith(".debug_pkl") or not (named_so or looks_like_pickle(archive.starts_like(member))):
            continue
        left -= member.size
        if left < 0:
            passed_over += 1
        elif (data := archive.read(member)) is not None:
            _scan(contents, BytesIO(data), len(data), member.name[:80])
    if passed_over:
        text = f"{passed_over:,} members of the archive that no tensor uses were not looked into"
        contents.add_problem(Problem("members_not_checked", text, "", Severity.WARNING))
