"""Which imports of a pickle are harmless, which are dangerous, and which nobody knows.

A weight file needs to rebuild tensors and a few containers: those are listed. Python's own library has no other business in one,
so the rest of it counts as dangerous, as do the loaders and code generators of the libraries around it. Everything else
(a class of Ultralytics or fairseq) is code that has to be installed to load the file: worth a warning, no proof of harm.
Names are judged as they stand: a dotted name reaches through modules, a letter that only looks like ASCII is no accident.
"""

from __future__ import annotations

import re
import sys

from discovery.engine import second_opinion
from discovery.engine.types import Problem, Severity

_SCALARS = frozenset({
    "bool", "bool_", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32", "float64", "complex64",
    "complex128", "intc", "longlong", "str_", "bytes_", "datetime64",
})  # fmt: skip
_BUILTINS = frozenset({
    "set", "frozenset", "slice", "complex", "int", "float", "bool", "str", "bytes", "bytearray", "list", "dict", "tuple", "range", "long",
    "unicode",
})  # fmt: skip
_TORCH_NAMES = frozenset({
    "Tensor", "Size", "device", "dtype", "Generator", "float32", "float64", "float16", "bfloat16", "float", "int8", "int16", "int32", "int64",
    "uint8", "uint16", "uint32", "uint64", "bool", "complex64", "complex128", "half", "double", "long", "int", "short", "qint8", "quint8",
    "qint32", "quint4x2", "float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu", "float4_e2m1fn_x2", "strided",
    "sparse_coo", "sparse_csr", "contiguous_format", "preserve_format", "channels_last", "per_tensor_affine", "per_tensor_symmetric",
    "per_channel_affine", "per_channel_symmetric", "per_channel_affine_float_qparams",
})  # fmt: skip
_TORCH_REBUILDERS = frozenset({
    "_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_tensor_v3", "_rebuild_parameter", "_rebuild_parameter_with_state", "_rebuild_qtensor",
    "_rebuild_sparse_tensor", "_rebuild_sparse_csr_tensor", "_rebuild_meta_tensor_no_storage", "_rebuild_nested_tensor",
    "_rebuild_wrapper_subclass", "_rebuild_device_tensor_from_numpy", "_rebuild_device_tensor_from_cpu_tensor",
})  # fmt: skip
_TORCHSCRIPT = frozenset(
    {
        "build_intlist",
        "build_tensorlist",
        "build_doublelist",
        "build_boollist",
        "build_tensor_from_id",
        "restore_type_tag",
    }
)
_RANDOM = frozenset({
    "__randomstate_ctor", "__bit_generator_ctor", "__generator_ctor",
})  # fmt: skip
_PATHS = frozenset({
    "PosixPath", "WindowsPath", "PurePosixPath", "PureWindowsPath", "Path", "PurePath",
})  # fmt: skip

_ALLOWED = {
    "torch": _TORCH_NAMES,
    "torch._utils": _TORCH_REBUILDERS,
    "torch._tensor": frozenset({"_rebuild_from_type_v2", "Tensor"}),
    "torch.storage": frozenset(
        {"TypedStorage", "UntypedStorage", "_TypedStorage", "_UntypedStorage"}
    ),
    "torch.nn.parameter": frozenset(
        {"Parameter", "Buffer", "UninitializedParameter", "UninitializedBuffer"}
    ),
    "torch.serialization": frozenset({"_get_layout"}),
    "torch.jit._pickle": _TORCHSCRIPT,
    "collections": frozenset({"OrderedDict", "defaultdict", "Counter", "deque"}),
    "numpy": frozenset({"ndarray", "dtype", *_SCALARS}),
    "numpy.core.multiarray": frozenset({"_reconstruct", "scalar"}),
    "numpy.core.numeric": frozenset({"_frombuffer"}),
    "numpy.random._pickle": _RANDOM,
    "joblib.numpy_pickle": frozenset({"NumpyArrayWrapper"}),
    "_codecs": frozenset({"encode"}),
    "builtins": _BUILTINS,
    "copyreg": frozenset({"_reconstructor"}),
    "argparse": frozenset({"Namespace"}),
    "pathlib": _PATHS,
    "datetime": frozenset({"datetime", "date", "time", "timedelta", "timezone"}),
    "typing": frozenset(
        {
            "Any",
            "Dict",
            "List",
            "Tuple",
            "Set",
            "Union",
            "Optional",
            "Sequence",
            "Mapping",
            "Callable",
            "Literal",
        }
    ),
    "types": frozenset({"SimpleNamespace"}),
    "decimal": frozenset({"Decimal"}),
    "fractions": frozenset({"Fraction"}),
    "uuid": frozenset({"UUID"}),
    "array": frozenset({"array", "_array_reconstructor"}),
    "re": frozenset({"_compile"}),
}

#: Old names of the same modules, in Python 2, in other versions of Python or numpy.
_ALIASES = {
    "__builtin__": "builtins", "copy_reg": "copyreg", "pathlib._local": "pathlib", "numpy._core.multiarray": "numpy.core.multiarray",
    "numpy._core.numeric": "numpy.core.numeric", "torch.tensor": "torch._tensor",
}  # fmt: skip

#: Classes whose making runs nothing but their own constructor.
_ALLOWED_PATTERN = re.compile(
    r"torch\.(cuda\.)?\w+Storage"
    r"|torch\.nn\.modules\.[a-z_]+\.[A-Z]\w*|torch\.nn\.[A-Z]\w*"
    r"|torch\.optim\.[a-z_]+\.[A-Z]\w*"
    r"|numpy\.dtypes?\.\w+DType"
    r"|__torch__(\.\w+)*"
)

_DANGEROUS_ROOTS = frozenset({
    "pip", "setuptools", "pkg_resources", "distutils", "_distutils_hack", "__builtin__", "commands", "popen2", "nt", "posix", "cloudpickle",
    "dill", "IPython", "ipykernel", "requests", "httpx", "aiohttp", "urllib2", "urllib3", "paramiko", "fabric", "invoke", "pexpect", "sh",
    "plumbum", "execnet", "psutil", "win32api", "win32com",
})  # fmt: skip
#: Python's own library, with what older and newer versions than ours have: a pickle is loaded wherever somebody loads it.
#: (Left out are harmless modules whose names people give to their own: ``parser``, ``user``, ``test``.)
_STANDARD = (sys.stdlib_module_names - {"__main__"}) | {
    "imp", "imputil", "ihooks", "pipes", "lib2to3", "cPickle", "dl", "rexec", "posixfile", "smtpd", "asyncore", "asynchat", "nntplib", "telnetlib",
    "httplib", "xmlrpclib", "SimpleXMLRPCServer", "SocketServer", "BaseHTTPServer", "SimpleHTTPServer", "CGIHTTPServer", "_winreg", "_pyrepl",
    "_aix_support", "_osx_support",
}  # fmt: skip
_DANGEROUS_MODULES = (
    "numpy.testing.", "numpy.f2py.", "numpy.distutils.", "numpy.ctypeslib.", "numpy.lib.", "torch.serialization.", "torch.storage.", "torch.hub.",
    "torch.jit.", "torch.package.", "torch.fx.", "torch._dynamo.", "torch._inductor.", "torch.ops.", "torch.multiprocessing.",
    "torch.distributed.rpc.", "torch.distributed.elastic.", "torch.distributed.run.", "torch.distributed.launcher.", "torch.utils.cpp_extension.",
    "torch.utils.bottleneck.", "torch.utils.collect_env.", "torch.utils._config_module.",
    "torch.utils.data.datapipes.", "pandas.io.", "scipy.io.", "sympy.parsing.", "joblib.memory.", "joblib.externals.",
    "sklearn.externals.", "transformers.dynamic_module_utils.", "tensorflow.io.", "keras.models.",
)  # fmt: skip
_DANGEROUS_NAMES = frozenset({
    "eval", "exec", "execfile", "compile", "getattr", "setattr", "delattr", "import_module", "system", "popen", "spawn", "spawnv", "fork",
    "execv", "execve", "Popen", "check_output", "check_call", "run_module", "run_path", "_run_code", "runstring", "load", "loads", "load_module",
    "load_library", "open", "apply", "globals", "locals", "vars", "breakpoint",
})  # fmt: skip
#: A name that reaches through its module into one of these, as ``torch`` + ``serialization.os.system`` does.
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
        "os", "posix", "nt", "subprocess", "commands", "popen2", "pty", "pexpect", "sh", "plumbum", "invoke", "multiprocessing", "asyncio", "system",
        "popen", "Popen", "spawn", "spawnv", "fork", "execv", "execve", "check_output", "check_call",
    }), "starts programs"),
    (frozenset({
        "eval", "exec", "execfile", "compile", "runpy", "code", "codeop", "timeit", "cProfile", "profile", "trace", "bdb", "pdb", "pydoc", "idlelib",
        "doctest", "runstring", "_run_code", "run_module", "run_path", "cloudpickle", "CodeType", "FunctionType",
    }), "runs any Python code it is given"),
    (frozenset({
        "socket", "ssl", "http", "httplib", "urllib", "urllib2", "urllib3", "requests", "httpx", "aiohttp", "ftplib", "smtplib", "telnetlib",
        "paramiko", "fabric", "webbrowser", "xmlrpc",
    }), "reaches the network"),
    (frozenset({"open", "shutil", "io", "_io", "tempfile", "fileinput", "zipfile", "tarfile", "glob", "logging"}), "reads and writes files"),
    (frozenset({"ctypes", "_ctypes", "cffi", "load_library", "CDLL"}), "loads native code"),
    (frozenset({"pickle", "_pickle", "cPickle", "dill", "marshal", "shelve", "load", "loads", "_load_from_bytes"}), "unpickles more data"),
    (frozenset({"pip", "setuptools", "pkg_resources", "distutils", "ensurepip", "venv"}), "installs packages"),
    (frozenset({
        "getattr", "setattr", "operator", "_operator", "functools", "importlib", "imp", "pkgutil", "inspect", "sys", "gc", "__import__",
    }), "leads to any other function"),
)  # fmt: skip


def judge(reference: str) -> Severity | None:
    """How bad ``module.name`` is: ``None`` harmless, ``WARNING`` unknown, ``ERROR`` dangerous."""
    module, _, name = reference.rpartition(".")
    if name in _ALLOWED.get(_ALIASES.get(module, module), ()) or _ALLOWED_PATTERN.fullmatch(
        reference
    ):
        return None
    if reference in ("builtins.object", "__builtin__.object"):
        return (
            Severity.WARNING
        )  # every class has it: of no use to a weight file, and of little to an attacker
    root, *rest = reference.split(".")
    dangerous = (
        not (
            reference.isascii()
            and root.isidentifier()
            and all(part.isidentifier() for part in rest)
        )
        or root in _STANDARD
        or root in _DANGEROUS_ROOTS
        or f"{module}.".startswith(_DANGEROUS_MODULES)
        or name in _DANGEROUS_NAMES
        or any(part in _REACHED or part.startswith("__") for part in rest)
    )
    return Severity.ERROR if dangerous else Severity.WARNING


def problems(imports: dict[str, int]) -> list[Problem]:
    """One problem for each import that is not harmless. ``imports``: reference to where it first appears.

    Where ours only says that nobody knows it, picklescan's list is asked too.
    """
    judged = {reference: severity for reference in imports if (severity := judge(reference))}
    unknown = tuple(
        reference for reference, severity in judged.items() if severity is Severity.WARNING
    )
    listed = second_opinion.dangerous(unknown) if unknown else frozenset()
    found = []
    for reference, severity in judged.items():
        shown = (
            reference[:120]
            if reference.isprintable() and reference.isascii()
            else ascii(reference[:120])
        )
        if severity is Severity.ERROR or reference in listed:
            text = f"loading it would call {shown}, which {_harm(reference)}has no place in a weight file: never load it"
            found.append(Problem("unsafe_pickle", text, "", Severity.ERROR, imports[reference]))
        else:
            text = f"loading it runs {shown}, code that is not part of PyTorch or numpy: trust its author before you do"
            found.append(Problem("unknown_import", text, "", severity, imports[reference]))
    return found


def _harm(reference: str) -> str:
    """What the import could do, where it is well known: ``starts programs and ``."""
    root, _, rest = reference.partition(".")
    name = rest.rpartition(".")[2]
    return next((f"{harm} and " for words, harm in _HARM if name in words), "") or next(
        (f"{harm} and " for words, harm in _HARM if root in words), ""
    )
