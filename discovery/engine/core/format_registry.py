"""Weight-file formats: what each is called, how it is recognized and what holds for its files.

Each module of ``discovery.engine.formats`` declares one as ``FORMAT``; that package registers them
all when the engine is imported. A plugin registers its own the same way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Container
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO

from discovery.engine.core.path_reader import PathReader
from discovery.engine.core.types import Header
from discovery.engine.core.vocabulary import ModelType

#: ``read(stream, size)``. Raises ``NotThisFormat`` or ``InvalidHeader``.
Reader = Callable[[BinaryIO, int], Header]


@dataclass(frozen=True, slots=True)
class Usage:
    """Lines of code that load the model in a program, and the packages they need.

    ``{path!r}`` in the text is replaced by the file or folder.

    ``types`` are the model types that the lines are for; empty: the format's own type.
    """

    program: str
    install: str
    text: str
    types: tuple[ModelType, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """One weight-file format.

    ``name`` is the identifier of the contract, ``label`` the name on the screen. ``suffixes`` (with
    their dot, lowercase) require this format; the reader also tries files with the suffixes in
    ``tried_for``. ``magic`` recognizes the format by the first bytes and the suffix, whatever the
    file is called. If a model has several formats, the one with the lowest ``rank`` represents it.
    ``loader`` is the dotted name of a module that only the child process of a test load imports.

    ``names`` are (suffix, regular expression for whole lowercase file names) of files that may have
    this format although the suffix is ambiguous; a group called ``stem`` is the part that all files
    of one model share. Such a name requires nothing: files that no reader recognizes are skipped.

    ``is_folder`` decides from the name of a folder, its files and its sub-folders whether it is the
    home of one model of this format; with ``is_whole``, everything below it belongs to the model.
    ``folder_suffixes`` end the names of folders that programs treat as one file. Given a path and
    its neighbors, ``is_entry`` says whether it is the file to read first, and ``is_data`` whether
    another file refers to it. Files with code as well as weights are programs (``is_program``),
    never one of several formats of a checkpoint.

    ``paths`` gets files and folders that no other format recognizes, in the order of the ranks;
    such a format has neither suffixes nor names, and ``supported_formats`` does not list it.
    """

    name: str
    label: str
    rank: int
    type: ModelType = ModelType.UNKNOWN
    suffixes: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    tried_for: tuple[str, ...] = ()
    magic: Callable[[bytes, str], bool] | None = None
    knows_its_size: bool = False
    holds_pickles: bool = False
    is_archive: bool = False
    is_program: bool = False
    names: tuple[tuple[str, str], ...] = ()
    is_folder: Callable[[str, Collection[str], Collection[str]], bool] | None = None
    is_whole: bool = False
    folder_suffixes: tuple[str, ...] = ()
    is_entry: Callable[[str, Container[str]], bool] | None = None
    is_data: Callable[[str, Container[str]], bool] | None = None
    read: Reader | None = None
    paths: PathReader | None = None
    loader: str = ""
    usage: Usage | None = None


#: Suffix with its dot → name of the format that it promises.
SUFFIXES: dict[str, str] = {}
#: What ``supported_formats`` may call a format besides its name → the name.
ALIASES: dict[str, str] = {}

#: Suffix with its dot (or nothing) → (expression for whole lowercase names, name of the format).
_NAMES: dict[str, list[tuple[re.Pattern[str], str]]] = {}

_FORMATS: dict[str, Format] = {}
_in_order: tuple[Format, ...] = ()
_folder_suffixes: tuple[str, ...] = ()
_homes: dict[bool, tuple[Format, ...]] = {False: (), True: ()}
_generation = 0
_data: tuple[Callable[[str, Container[str]], bool], ...] = ()
_entries: tuple[tuple[str, Callable[[str, Container[str]], bool]], ...] = ()


def register(new: Format) -> None:
    """Makes a format known everywhere.

    Raises ``ValueError`` for a name, a suffix or an alias that another format has.
    """
    if new.name in _FORMATS:
        raise ValueError(f"The format {new.name} is registered already.")
    for alias in new.aliases:
        if alias in ALIASES:
            raise ValueError(f"{alias} is an alias of the format {ALIASES[alias]} already.")
    for suffix in new.suffixes:
        if suffix in SUFFIXES:
            raise ValueError(f"{suffix} is a suffix of the format {SUFFIXES[suffix]} already.")
    _FORMATS[new.name] = new
    _sort()
    SUFFIXES.update(dict.fromkeys(new.suffixes, new.name))
    ALIASES.update(dict.fromkeys(new.aliases, new.name))
    for suffix, expression in new.names:
        _NAMES.setdefault(suffix, []).append((re.compile(expression), new.name))
    by_name.cache_clear()


def unregister(name: str) -> None:
    """Forgets a format: for plugins that are switched off."""
    gone = _FORMATS.pop(name)
    _sort()
    for suffix in gone.suffixes:
        del SUFFIXES[suffix]
    for alias in gone.aliases:
        del ALIASES[alias]
    for suffix, known in _NAMES.items():
        _NAMES[suffix] = [each for each in known if each[1] != name]
    by_name.cache_clear()


@lru_cache(maxsize=20_000)
def by_name(file: str) -> tuple[Format, re.Match[str]] | None:
    """The format that the whole name of a file may be one of, and what of the name says so."""
    lower = file.lower()
    dot = lower.rfind(".")
    for expression, name in _NAMES.get(lower[dot:] if dot >= 0 else "", ()):
        if match := expression.fullmatch(lower):
            return _FORMATS[name], match
    return None


def of_folder(
    folder: str, files: Collection[str], folders: Collection[str], *, whole: bool
) -> Format | None:
    """The format that a folder with these contents is the home of one model of."""
    for each in _homes[whole]:
        if each.is_folder and each.is_folder(folder, files, folders):
            return each
    return None


def is_like_a_file(folder: str) -> bool:
    """Whether programs handle a folder of this name like one file."""
    return bool(_folder_suffixes) and folder.lower().endswith(_folder_suffixes)


def is_in_a_file(path: str) -> bool:
    """Whether the path is, or is below, a folder that programs treat as one file."""
    return any(map(is_like_a_file, path.split("/")))


def generation() -> int:
    """Another number after each change of what is registered."""
    return _generation


def is_data(path: str, others: Container[str]) -> bool:
    """Whether the file is read by way of another of ``others``."""
    return any(each(path, others) for each in _data)


def of_entry(path: str, others: Container[str]) -> str | None:
    """Name of the format of which the file, among ``others``, is what is read of a model."""
    return next((name for name, is_entry in _entries if is_entry(path, others)), None)


@lru_cache(maxsize=2_000)
def perhaps(suffix: str) -> frozenset[str]:
    """Names of the formats that a file with this suffix may turn out to be."""
    return frozenset(each.name for each in _in_order if suffix in (*each.suffixes, *each.tried_for))


def _sort() -> None:
    global _in_order, _folder_suffixes, _homes, _data, _entries, _generation
    _generation += 1
    _in_order = tuple(sorted(_FORMATS.values(), key=lambda each: each.rank))
    _folder_suffixes = tuple(suffix for each in _in_order for suffix in each.folder_suffixes)
    _homes = {
        whole: tuple(each for each in _in_order if each.is_folder and each.is_whole is whole)
        for whole in (False, True)
    }
    _data = tuple(each.is_data for each in _in_order if each.is_data)
    perhaps.cache_clear()
    _entries = tuple((each.name, each.is_entry) for each in _in_order if each.is_entry)


def every() -> tuple[Format, ...]:
    """All formats, in the order of their ranks."""
    return _in_order


def get(name: str | None) -> Format | None:
    return _FORMATS.get(name or "")


def names() -> tuple[str, ...]:
    """Of the formats that ``supported_formats`` may name."""
    return tuple(each.name for each in every() if each.paths is None)


def of_paths() -> tuple[Format, ...]:
    """Those that are asked about whole paths, the one that is asked first before the others."""
    return tuple(each for each in every() if each.paths is not None)


def label(name: str | None) -> str:
    """The word on the screen; a format that is not registered keeps its name."""
    known = get(name)
    return known.label if known else name or ""


def rank(name: str | None) -> int:
    known = get(name)
    return known.rank if known else 1_000
