"""Pickles are listed: every way to import is seen, nothing is executed, and nothing exhausts the
reader.
"""

from __future__ import annotations

import collections
import datetime
import io
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import pytest

from discovery.engine.archives.archives import Inspector
from discovery.engine.core.errors import InvalidHeader
from discovery.engine.core.vocabulary import Severity
from discovery.engine.pickles import pickle_imports
from discovery.engine.pickles.pickle_imports import Verdict
from discovery.engine.pickles.pickle_values import Global, Import
from discovery.engine.pickles.pickles import Blob, Object, Scanner
from tests.support.timing import at_most


def text(value: bytes) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value


def short(value: bytes) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value


COMMAND = text(b"true")

#: What would run ``os.system`` or the like, in every spelling.
PAYLOADS = {
    "global": b"\x80\x02cos\nsystem\n(" + COMMAND + b"tR.",
    "protocol 0": b"cos\nsystem\n(S'true'\ntR.",
    "inst": b"(S'true'\nios\nsystem\n.",
    "obj": b"(cos\nsystem\nS'true'\no.",
    "stack global": b"\x80\x04" + short(b"os") + short(b"system") + b"\x93(" + COMMAND + b"tR.",
    "stack global through the memo": (
        b"\x80\x04"
        + short(b"os")
        + b"\x940"
        + short(b"system")
        + b"\x940h\0h\x01\x93("
        + COMMAND
        + b"tR."
    ),
    "stack global of a computed name": b"\x80\x04" + short(b"os") + b"cbuiltins\nstr\n)R\x93.",
    "stack global of a name too long to keep": (
        b"\x80\x04" + short(b"os") + text(b"path.os." * 200 + b"system") + b"\x93."
    ),
    "global of a name too long to keep": b"\x80\x04cos\n" + b"path.os." * 200 + b"system\n.",
    "newobj": b"\x80\x02csubprocess\nPopen\n(" + COMMAND + b"t\x81.",
    "newobj with keywords": b"\x80\x04csubprocess\nPopen\n)}\x92.",
    "getattr": b"\x80\x04cbuiltins\ngetattr\n(" + text(b"os") + text(b"system") + b"tR.",
    "Python 2's builtins": b"\x80\x02c__builtin__\nexec\n(" + COMMAND + b"tR.",
    "a nested torch.load": b"\x80\x02ctorch.storage\n_load_from_bytes\n(" + COMMAND + b"tR.",
    "numpy's test runner": (
        b"\x80\x02cnumpy.testing._private.utils\nrunstring\n(" + COMMAND + b"tR."
    ),
    "pip": b"\x80\x02cpip\nmain\n(tR.",
    "letters that look like others": (
        b"\x80\x04" + short("оs".encode()) + short(b"system") + b"\x93."
    ),
    "a carriage return": b"\x80\x02cos\r\nsystem\n(" + COMMAND + b"tR.",
    "a dotted name": b"\x80\x04" + short(b"torch") + short(b"serialization.os.system") + b"\x93.",
    "a harmless module that leads on": (
        b"\x80\x04" + short(b"torch._utils") + short(b"sys.modules") + b"\x93."
    ),
    "the extension registry": b"\x80\x02\x82\x01)R.",
    "broken afterwards": b"\x80\x02cos\nsystem\n(" + COMMAND + b"tR\xff\xff",
    "cut short afterwards": b"\x80\x02cos\nsystem\n(" + COMMAND + b"tR",
    "in the second pickle": (
        pickle.dumps({"a": 1}, 2) + b"\x80\x02cos\nsystem\n(" + COMMAND + b"tR."
    ),
    "after a number in hexadecimal": b"(I0x10\ncos\nsystem\n(" + COMMAND + b"tRt.",
}

#: What would exhaust a reader that is not careful.
BOMBS = {
    "a memo index of 2^31": b"\x80\x02]r" + struct.pack("<I", 0x7FFFFFF0) + b".",
    "billion laughs": (
        b"\x80\x02]q\0"
        + b"".join(b"](" + (b"h" + bytes([i])) * 10 + b"eq" + bytes([i + 1]) for i in range(40))
        + b"."
    ),
    "50,000 lists in each other": b"\x80\x02" + b"](" * 50_000 + b"e" * 50_000 + b".",
    "50,000 tuples in each other": b"\x80\x02)" + b"\x85" * 50_000 + b".",
    "two million numbers": b"\x80\x02" + b"N" * 2_000_000 + b".",
    "two million dicts": b"\x80\x02" + b"}" * 2_000_000 + b".",
    "40 MB of text": b"\x80\x04" + short(b"a" * 200) * 200_000 + b".",
    "three thousand imports": (
        b"\x80\x02" + b"".join(b"cm%d\nn\n" % number for number in range(3_000)) + b"."
    ),
}


def scan(content: bytes) -> tuple[list[Any], Scanner]:
    scanner = Scanner(io.BytesIO(content), len(content))
    values = [scanner.load()]
    while not scanner.at_end:
        values.append(scanner.load())
    return values, scanner


def plain(value: Any) -> Any:
    """Back to Python's own containers, for what has no calls in it."""
    if isinstance(value, Object):
        return {key: plain(part) for key, part in value.items or ()}
    return type(value)(map(plain, value)) if type(value) in (list, tuple) else value


@pytest.mark.parametrize("content", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_whatever_runs_code_is_unsafe(content: bytes) -> None:
    _, scanner = scan(content)
    problems = [problem for problem in scanner.problems() if problem.code == "unsafe_pickle"]
    assert problems
    assert {problem.severity for problem in problems} == {Severity.ERROR}


@pytest.mark.slow
@pytest.mark.parametrize("content", BOMBS.values(), ids=BOMBS.keys())
def test_what_exhausts_a_reader_is_unsafe_and_cheap_to_refuse(content: bytes) -> None:
    with at_most(loops=150):
        _, scanner = scan(content)
    assert scanner.is_unsafe or scanner.stopped


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_containers_and_scalars_of_every_protocol_are_read(protocol: int) -> None:
    value = {
        "a": [1, -2, 70_000, 1 << 40, -(1 << 70), 1.5, None, True, False],
        "b": ("x", ("y", ()), (1, 2, 3, 4)),
        "ü": {"c": {}},
        7: [],
    }
    values, scanner = scan(pickle.dumps(value, protocol))
    expected = (
        value
        if protocol > 1
        else {
            **value,
            "a": [
                1,
                -2,
                70_000,
                1 << 40,
                -(1 << 70),
                1.5,
                None,
                1 if not protocol else True,
                False,
            ],
        }
    )
    assert plain(values[0]) == expected
    assert scanner.problems() == []


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_the_imports_are_those_that_python_makes(protocol: int) -> None:
    class Recorder(pickle.Unpickler):
        def find_class(self, module: str, name: str, /) -> Any:
            made.append(f"{module}.{name}")
            return super().find_class(module, name)

    made: list[str] = []
    value = [
        datetime.date(2024, 1, 1),
        collections.OrderedDict(a=1),
        collections.deque([1]),
        {1},
        1j,
        collections.OrderedDict(b=2),
    ]
    content = pickle.dumps(value, protocol)
    Recorder(io.BytesIO(content)).load()
    _, scanner = scan(content)
    assert list(scanner.imports) == list(dict.fromkeys(made))
    assert scanner.problems() == []


def test_long_text_and_bytes_are_passed_over() -> None:
    values, _ = scan(pickle.dumps({"data": b"x" * 1_000_000, "text": "y" * 5_000}, 4))
    assert values[0].get("data") == Blob(values[0].get("data").offset, 1_000_000)
    assert isinstance(values[0].get("text"), Blob)


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b".",
        b"\x80\x04\x8d" + struct.pack("<Q", 1 << 40) + b"a.",
        b"\x80\x02\x8b" + struct.pack("<i", -5) + b".",
        b"\x80\x09N.",
        b"\x80\x02h\x05.",
        b"\x80\x02R.",
        b"\x80\x02t.",
        b"\x80\x02}(Nu.",
        b"\x80\x02\xfe.",
        b"hello world, not a pickle at all",
        b"",
    ],
)
def test_broken_pickles_are_invalid(content: bytes) -> None:
    with pytest.raises(InvalidHeader):
        scan(content)


@pytest.mark.parametrize("opcode", [b"p", b"g"])
def test_a_line_that_could_change_nothing_is_not_looked_for(opcode: bytes) -> None:
    """Files of other formats may begin so: nothing is on the stack yet, and nothing in the memo."""
    stream = io.BytesIO(opcode + b"W" + bytes(1 << 20))
    with pytest.raises(InvalidHeader):
        Scanner(stream, 1 << 40).load()
    assert stream.tell() <= 1 << 17


def test_every_truncation_is_noticed() -> None:
    content = pickle.dumps(
        {"a": [1, "x" * 300, b"y" * 2_000], "b": (collections.OrderedDict(z=1.5),)}, 4
    )
    for length in range(len(content)):
        with pytest.raises(InvalidHeader):
            scan(content[:length])


def test_a_list_that_contains_itself_is_harmless() -> None:
    value: list[Any] = []
    value.append(value)
    assert scan(pickle.dumps(value, 2))[1].problems() == []


NAMED, MADE, CALLED = Import(0), Import(0, made=True), Import(0, called=True, by_value=False)


@pytest.mark.parametrize(
    ("module", "name", "use", "verdict"),
    [
        ("torch._utils", "_rebuild_tensor_v2", CALLED, Verdict.HARMLESS),
        ("torch", "FloatStorage", NAMED, Verdict.HARMLESS),
        ("torch.cuda", "HalfStorage", NAMED, Verdict.HARMLESS),
        ("torch.nn.modules.conv", "Conv2d", MADE, Verdict.HARMLESS),
        ("torch.nn.modules.conv", "Conv2d", CALLED, Verdict.DANGEROUS),
        ("collections", "OrderedDict", CALLED, Verdict.HARMLESS),
        ("numpy._core.multiarray", "_reconstruct", CALLED, Verdict.HARMLESS),
        ("numpy.dtypes", "Float32DType", CALLED, Verdict.HARMLESS),
        ("_codecs", "encode", CALLED, Verdict.HARMLESS),
        ("__builtin__", "set", CALLED, Verdict.HARMLESS),
        ("builtins", "hash", NAMED, Verdict.HARMLESS),
        ("builtins", "hash", CALLED, Verdict.DANGEROUS),
        ("pathlib", "PosixPath", CALLED, Verdict.HARMLESS),
        ("__torch__.models.resnet", "ResNet", MADE, Verdict.HARMLESS),
        ("ultralytics.nn.tasks", "DetectionModel", MADE, Verdict.UNKNOWN),
        ("ultralytics.nn.tasks", "DetectionModel", NAMED, Verdict.UNKNOWN),
        ("ultralytics.nn.tasks", "DetectionModel", CALLED, Verdict.DANGEROUS),
        ("mylibrary.nets", "Net.Block", MADE, Verdict.UNKNOWN),
        ("mylibrary.nets", "Net.build", NAMED, Verdict.DANGEROUS),
        ("mylibrary.nets", "Net.Block", CALLED, Verdict.DANGEROUS),
        ("__main__", "Net", MADE, Verdict.UNKNOWN),
        ("builtins", "object", NAMED, Verdict.UNKNOWN),
        ("torch._utils", "_import_dotted_name", NAMED, Verdict.UNKNOWN),
        ("torch._utils", "_import_dotted_name", CALLED, Verdict.DANGEROUS),
        ("sklearn.linear_model._logistic", "LogisticRegression", MADE, Verdict.KNOWN),
        ("sklearn.tree._tree", "Tree", CALLED, Verdict.KNOWN),
        ("sklearn.tree._tree", "export", CALLED, Verdict.DANGEROUS),
        ("sklearn.externals._packaging", "Version", MADE, Verdict.DANGEROUS),
        ("sklearnex.payload", "Estimator", MADE, Verdict.UNKNOWN),
        ("transformers.trainer_utils", "SchedulerType", Import(0, called=True), Verdict.KNOWN),
        ("transformers.trainer_utils", "SchedulerType", CALLED, Verdict.DANGEROUS),
        ("builtins", "eval", NAMED, Verdict.DANGEROUS),
        ("builtins", "print", NAMED, Verdict.DANGEROUS),
        ("posix", "system", NAMED, Verdict.DANGEROUS),
        ("nt", "system", NAMED, Verdict.DANGEROUS),
        ("commands", "getoutput", NAMED, Verdict.DANGEROUS),
        ("UserDict", "UserDict", MADE, Verdict.UNKNOWN),
        ("itertools", "imap", NAMED, Verdict.DANGEROUS),
        ("functools", "partial", NAMED, Verdict.DANGEROUS),
        ("operator", "attrgetter", NAMED, Verdict.DANGEROUS),
        ("torch.serialization", "load", NAMED, Verdict.DANGEROUS),
        ("torch.hub", "load", NAMED, Verdict.DANGEROUS),
        ("torch._dynamo.guards", "eval", NAMED, Verdict.DANGEROUS),
        ("torch.nn.modules.module", "os.system", NAMED, Verdict.DANGEROUS),
        ("torch._tensor", "torch.storage._load_from_bytes", NAMED, Verdict.DANGEROUS),
        ("numpy.matlib", "np.f2py.crackfortran.myeval", NAMED, Verdict.DANGEROUS),
        ("numpy", "ndarray.tofile", NAMED, Verdict.DANGEROUS),
        ("numpy", "savetxt", NAMED, Verdict.DANGEROUS),
        ("numpy", "memmap", MADE, Verdict.DANGEROUS),
        ("torch", "UntypedStorage.from_file", NAMED, Verdict.DANGEROUS),
        ("somewhere.compat", "open", NAMED, Verdict.DANGEROUS),
        ("filelock", "FileLock.acquire", NAMED, Verdict.DANGEROUS),
        ("torch._utils", "__builtins__", NAMED, Verdict.DANGEROUS),
        ("mylibrary.helpers", "eval", NAMED, Verdict.DANGEROUS),
        ("mylibrary.os", "system", NAMED, Verdict.DANGEROUS),
        ("collections", "OrderedDict.__reduce__", NAMED, Verdict.DANGEROUS),
        ("", "", NAMED, Verdict.DANGEROUS),
        ("", "system", NAMED, Verdict.DANGEROUS),
    ],
)
def test_imports_are_judged_by_name_and_use(
    module: str, name: str, use: Import, verdict: Verdict
) -> None:
    assert pickle_imports.judge(Global(module, name), use).verdict == verdict


def test_a_persistent_id_that_is_no_ascii_ends_the_pickle_as_in_python() -> None:
    """A zip archive begins with ``P``, the instruction for one."""
    with pytest.raises(InvalidHeader):
        Scanner(io.BytesIO(b"PK\x80\n."), 5).load()
    with pytest.raises(pickle.UnpicklingError):
        pickle.loads(b"PK\x80\n.")


def test_an_archive_of_tensors_is_no_broken_pickle(tmp_path: Path) -> None:
    path = tmp_path / "model.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"a": 1}, protocol=2))
        archive.writestr("archive/line", "breaks\nsoon")
    inspector = Inspector()
    with path.open("rb") as stream:
        inspector.look(stream, path.stat().st_size, path.name)
    assert inspector.problems == []
