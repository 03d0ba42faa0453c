"""Which imports of a pickle are harmless, dangerous or unknown.

A weight file needs to rebuild tensors and a few containers: those are listed, as are the classes of
well-known libraries (see ``pickle_libraries``). The rest of Python's own library is not needed and
counts as dangerous, as do the loaders, code generators and file writers of the libraries around it,
every unlisted function that is called, and every name that reaches through a module or a class. An
instantiated class (of Ultralytics, say) is code that has to be installed to load the file: that
deserves a warning, but proves no harm. Names are compared exactly: a letter that only resembles
ASCII is not an accident.
"""

from __future__ import annotations

import re
import sys
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from discovery.engine.core.types import Problem
from discovery.engine.core.vocabulary import Severity
from discovery.engine.pickles import pickle_libraries, picklescan_check
from discovery.engine.pickles.pickle_values import Global, Import

#: So many names are shown of those that are told together.
_SHOWN = 5

_DANGEROUS_ROOTS = frozenset({
    "pip", "setuptools", "pkg_resources", "distutils", "_distutils_hack", "__builtin__", "commands",
    "popen2", "nt", "posix", "cloudpickle",
    "dill", "IPython", "ipykernel", "requests", "httpx", "aiohttp", "urllib2", "urllib3",
    "paramiko", "fabric", "invoke", "pexpect", "sh",
    "plumbum", "execnet", "psutil", "win32api", "win32com", "sympy", "mpmath", "numexpr", "jinja2",
    "django", "yaml", "ruamel", "cffi", "numba",
    "fsspec", "filelock", "pyximport", "Cython", "_pytest", "pytest", "nose", "smart_open",
    "jsonpickle", "asteval", "simpleeval", "js2py",
})  # fmt: skip
#: Python's own library, with what older and newer versions than ours have: a pickle is loaded
#: wherever somebody loads it. (Left out are harmless modules whose names people give to their own:
#: ``parser``, ``user``, ``test``.)
_STANDARD = (sys.stdlib_module_names - {"__main__"}) | {
    "imp", "imputil", "ihooks", "pipes", "lib2to3", "cPickle", "dl", "rexec", "posixfile", "smtpd",
    "asyncore", "asynchat", "nntplib", "telnetlib",
    "httplib", "xmlrpclib", "SimpleXMLRPCServer", "SocketServer", "BaseHTTPServer",
    "SimpleHTTPServer", "CGIHTTPServer", "_winreg", "_pyrepl",
    "_aix_support", "_osx_support",
}  # fmt: skip
_DANGEROUS_MODULES = (
    "numpy.testing.", "numpy.f2py.", "numpy.core.memmap.", "numpy._core.memmap.", "six.moves.",
    "pydantic._internal.", "torch._functorch.",
    "torch.utils.benchmark.", "torch.testing.", "torch.utils.model_zoo.", "numpy.distutils.",
    "numpy.ctypeslib.", "numpy.lib.",
    "torch.serialization.", "torch.storage.", "torch.hub.", "torch.jit.", "torch.package.",
    "torch.fx.", "torch._dynamo.",
    "torch._inductor.", "torch.ops.", "torch.multiprocessing.", "torch.distributed.rpc.",
    "torch.distributed.elastic.",
    "torch.distributed.run.", "torch.distributed.launcher.", "torch.utils.cpp_extension.",
    "torch.utils.bottleneck.",
    "torch.utils.collect_env.", "torch.utils._config_module.", "torch.utils.data.datapipes.",
    "pandas.io.", "scipy.io.", "sympy.parsing.",
    "joblib.memory.", "joblib.externals.", "sklearn.externals.",
    "transformers.dynamic_module_utils.", "tensorflow.io.", "keras.models.",
)  # fmt: skip
_DANGEROUS_NAMES = frozenset({
    "eval", "exec", "execfile", "compile", "getattr", "setattr", "delattr", "import_module",
    "system", "popen", "spawn", "spawnv", "fork",
    "execv", "execve", "Popen", "check_output", "check_call", "run_module", "run_path", "_run_code",
    "runstring", "load", "loads",
    "load_module", "load_library", "open", "apply", "globals", "locals", "vars", "breakpoint",
    "import_string", "import_class", "locate",
    "__import__",
    # What reads, writes or makes files.
    "save", "savez", "savez_compressed", "savetxt", "memmap", "open_memmap", "fromfile", "tofile",
    "loadtxt", "genfromtxt", "DataSource",
    "dump", "from_file", "read_pickle", "to_pickle", "touch", "unlink", "rmtree", "makedirs",
    "mkdir", "write_text", "write_bytes",
    "urlopen", "urlretrieve", "acquire",
})  # fmt: skip
#: A name that reaches through its module into one of these, as ``torch`` +
#: ``serialization.os.system`` does.
_REACHED = frozenset(
    {
        "os",
        "sys",
        "subprocess",
        "builtins",
        "importlib",
        "posix",
        "nt",
        "shutil",
        "ctypes",
        "socket",
    }
)

#: Modules and functions → what a call of them can do.
_HARM: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset({
        "os", "posix", "nt", "subprocess", "commands", "popen2", "pty", "pexpect", "sh", "plumbum",
        "invoke", "multiprocessing", "asyncio",
        "system", "popen", "Popen", "spawn", "spawnv", "fork", "execv", "execve", "check_output",
        "check_call",
    }), "starts programs"),
    (frozenset({
        "eval", "exec", "execfile", "compile", "runpy", "code", "codeop", "timeit", "cProfile",
        "profile", "trace", "bdb", "pdb", "pydoc",
        "idlelib", "doctest", "sympy", "numexpr", "yaml", "jinja2", "numba", "runstring",
        "_run_code", "run_module", "run_path", "cloudpickle",
        "CodeType", "FunctionType",
    }), "runs any Python code it is given"),
    (frozenset({
        "socket", "ssl", "http", "httplib", "urllib", "urllib2", "urllib3", "requests", "httpx",
        "aiohttp", "ftplib", "smtplib", "telnetlib",
        "paramiko", "fabric", "webbrowser", "xmlrpc",
    }), "reaches the network"),
    (frozenset({
        "save", "savez", "savez_compressed", "savetxt", "memmap", "open_memmap", "fromfile",
        "tofile", "loadtxt", "genfromtxt", "DataSource",
        "from_file", "touch", "unlink", "rmtree", "makedirs", "mkdir", "write_text", "write_bytes",
        "filelock", "acquire", "fsspec", "open",
        "shutil", "io", "_io", "tempfile", "fileinput", "zipfile", "tarfile", "glob", "logging",
    }), "reads and writes files"),
    (frozenset({
        "ctypes", "_ctypes", "cffi", "load_library", "CDLL",
    }), "loads native code"),
    (frozenset({
        "pickle", "_pickle", "cPickle", "dill", "marshal", "shelve", "load", "loads",
        "_load_from_bytes", "read_pickle", "load_config",
    }), "unpickles more data"),
    (frozenset({
        "pip", "setuptools", "pkg_resources", "distutils", "ensurepip", "venv",
    }), "installs packages"),
    (frozenset({
        "getattr", "setattr", "operator", "_operator", "functools", "importlib", "imp", "pkgutil",
        "inspect", "sys", "gc", "__import__",
        "import_string", "import_class", "locate",
    }), "leads to any other function"),
)  # fmt: skip


class Verdict(IntEnum):
    """What is to be said of an import, from nothing at all to the worst."""

    HARMLESS = 0
    KNOWN = 1  # a well-known library's own
    UNKNOWN = 2  # a class that nobody here knows
    DANGEROUS = 3


@dataclass(frozen=True, slots=True)
class Judgement:
    verdict: Verdict
    library: str = ""


_NAMED = Import(0)
_CLASS = re.compile(r"_{0,2}[A-Z]\w*", re.ASCII)


def judge(reference: Global, use: Import = _NAMED, *, lenient: bool = False) -> Judgement:
    """The severity of an import, by its name and by its use.

    Pickles of protocol 2 use the names of Python 2 or of Python 3.

    ``lenient``: an unlisted class may be asked for a member by its value, as an enumeration is.
    """
    module, name = NAME_MAPPING.get(
        reference, (IMPORT_MAPPING.get(reference.module, reference.module), reference.name)
    )
    here = _judged(pickle_libraries.alias(reference.module), reference.name, use, lenient)
    if (module, name) == reference or here.verdict is Verdict.DANGEROUS:
        return here
    return max(
        here,
        _judged(pickle_libraries.alias(module), name, use, lenient),
        key=lambda judgement: judgement.verdict,
    )


def judge_name(reference: str) -> Severity | None:
    """How bad a dotted name is by itself: ``None`` harmless or a known library's own, ``WARNING``
    unknown, ``ERROR`` dangerous.
    """
    module, _, name = reference.rpartition(".")
    verdict = judge(Global(module, name)).verdict
    return {Verdict.UNKNOWN: Severity.WARNING, Verdict.DANGEROUS: Severity.ERROR}.get(verdict)


def _judged(module: str, name: str, use: Import, lenient: bool) -> Judgement:
    if (library := pickle_libraries.library(module, name, use)) is not None:
        return Judgement(Verdict.HARMLESS if library.harmless else Verdict.KNOWN, library.name)
    if (module, name) == ("builtins", "object") and not use.called:
        # Every class has it: of no use to a weight file, and of little to an attacker.
        return Judgement(Verdict.UNKNOWN)
    is_value = lenient and use.by_value and _CLASS.fullmatch(name)
    if _is_dangerous(module, name) or _reaches(name, use) or (use.called and not is_value):
        return Judgement(Verdict.DANGEROUS)
    return Judgement(Verdict.UNKNOWN)


def _is_dangerous(module: str, name: str) -> bool:
    reference = f"{module}.{name}"
    root, *rest = reference.split(".")
    return (
        not (
            reference.isascii()
            and root.isidentifier()
            and all(part.isidentifier() for part in rest)
        )
        or root in _STANDARD
        or root in _DANGEROUS_ROOTS
        or f"{module}.".startswith(_DANGEROUS_MODULES)
        or not _DANGEROUS_NAMES.isdisjoint(name.split("."))
        or any(part in _REACHED or part.startswith("__") for part in rest)
    )


def _reaches(name: str, use: Import) -> bool:
    """Whether the name leads through something to something else.

    A class in a class, of which objects are made, does no harm by that.
    """
    return "." in name and not (
        use.made and not use.called and all(_CLASS.fullmatch(part) for part in name.split("."))
    )


def problems(imports: Mapping[Global, Import], *, lenient: bool = False) -> list[Problem]:
    """What is to be said of them: each dangerous one, then the unknown ones together, then the
    known libraries.

    Where ours only says that nobody knows it, picklescan's list is asked too.
    """
    judged = {
        reference: judge(reference, use, lenient=lenient) for reference, use in imports.items()
    }
    unknown = [
        reference for reference, judgement in judged.items() if judgement.verdict is Verdict.UNKNOWN
    ]
    listed = picklescan_check.dangerous(tuple(map(str, unknown))) if unknown else frozenset()
    found: list[Problem] = []
    warned: list[Global] = []
    for reference, judgement in judged.items():
        if judgement.verdict is Verdict.DANGEROUS or str(reference) in listed:
            text = f"{_danger(reference, imports[reference])}: never load it"
            found.append(
                Problem(
                    "unsafe_pickle",
                    text,
                    "",
                    Severity.ERROR,
                    imports[reference].position,
                    str(reference),
                )
            )
        elif judgement.verdict is Verdict.UNKNOWN:
            warned.append(reference)
    if warned:
        text = (
            f"loading it uses {_list(warned)}, {_what_unknown(warned)}: trust its author before"
            " you do"
        )
        found.append(
            Problem("unknown_import", text, "", Severity.WARNING, imports[warned[0]].position)
        )
    libraries = {
        judgement.library for judgement in judged.values() if judgement.verdict is Verdict.KNOWN
    }
    for library in sorted(libraries):
        own = [
            each
            for each, judgement in judged.items()
            if judgement == Judgement(Verdict.KNOWN, library)
        ]
        text = (
            f"it holds objects of {library} ({_list(own)}): loading it runs that library's code and"
            " none of its own"
        )
        found.append(
            Problem("known_import", text, "", Severity.INFO, imports[own[0]].position, library)
        )
    return found


def _danger(reference: Global, use: Import) -> str:
    """What loading would do, and why that is dangerous."""
    does = "call" if use.called else "make an object of" if use.made else "import"
    start = f"loading it would {does} {_shown(reference)}"
    if harm := _harm(reference):
        return f"{start}, which {harm} and has no place in a weight file"
    if "." in reference.name:
        return f"{start}, a name that reaches through {_clean(reference.module)} to something else"
    root = reference.module.partition(".")[0]
    if root in _STANDARD:
        return f"{start}, a part of Python that has no place in a weight file"
    if root in ("torch", "numpy"):
        owner = "PyTorch" if root == "torch" else "numpy"
        return f"{start}, a part of {owner} that is on no list of harmless ones"
    return f"{start}, which is on no list of harmless functions"


def _what_unknown(references: list[Global]) -> str:
    """A description of unknown imports, as far as their modules allow."""
    roots = {reference.module.partition(".")[0] for reference in references}
    if roots <= {"torch", "numpy"}:
        return "which PyTorch or numpy bring along but weights do not need"
    return (
        "code that is on no list here"
        if len(references) == 1
        else "all code that is on no list here"
    )


def _list(references: list[Global]) -> str:
    shown = ", ".join(map(_shown, references[:_SHOWN]))
    return f"{shown} and {len(references) - _SHOWN:,} more" if len(references) > _SHOWN else shown


def _shown(reference: Global) -> str:
    return _clean(str(reference))


def _clean(text: str) -> str:
    return text[:120] if text.isprintable() and text.isascii() else ascii(text[:120])


def _harm(reference: Global) -> str:
    """What the import could do, where it is well known."""
    root, _, rest = str(reference).partition(".")
    name = rest.rpartition(".")[2]
    return next((harm for words, harm in _HARM if name in words), "") or next(
        (harm for words, harm in _HARM if root in words), ""
    )
