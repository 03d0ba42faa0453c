"""Our walk of pickles names what Python's own unpicklers ask for; ``tests/fuzz/pickles.py`` is for
long runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import pickle_streams
from tests.fuzz.pickles import Python, checkpoint, compare, named, named_in_checkpoint

INPUTS = 1_500


@pytest.fixture(scope="module")
def python() -> Iterator[Python]:
    process = Python()
    yield process
    process.close()


def test_whatever_python_would_import_is_named(python: Python) -> None:
    random, begin = Random("suite"), pickle_streams.seeds()
    found = [compare(python, pickle_streams.stream(random, begin)) for _ in range(INPUTS)]
    assert [each for each in found if each] == []


def test_whatever_torch_would_import_is_named() -> None:
    pytest.importorskip("torch")
    torch, random, begin = Python("--torch"), Random("torch"), pickle_streams.seeds()
    try:
        checkpoints = [checkpoint(random, pickle_streams.stream(random, begin)) for _ in range(500)]
        assert [
            each for data in checkpoints if (each := compare(torch, data, named_in_checkpoint))
        ] == []
        assert torch.asks_for(checkpoint(Random(1), b"\x80\2" + pickle_streams.SYSTEM + b".")) == {
            ("posix", "system")
        }
    finally:
        torch.close()


@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(st.randoms(use_true_random=False).map(pickle_streams._push), max_size=6),
    st.sampled_from((b"", b"\x80\2", b"\x80\4")),
)
def test_a_payload_behind_any_pieces_is_named(
    python: Python, pieces: list[bytes], protocol: bytes
) -> None:
    assert (
        compare(
            python,
            protocol + b"".join(piece + b"0" for piece in pieces) + pickle_streams.SYSTEM + b".",
        )
        is None
    )


@pytest.mark.parametrize(
    "piece",
    [
        *(b"I" + number + b"\n0" for number in (b"017", b"0o17", b"1\0zz", b"\0x",
                b"9" * 30 + b"\0z", b"0" * 3_000_000 + b"1")),
        *(b"F" + number + b"\n0" for number in (b"1.0\0zz", b"1_0.5", b" nan ")),
        b"Np1\n0g 1 \n0", b"Np1\0z\n0", b"V" + b"a" * 3_000_000 + b"\n0", b"S'a\\x41'\n0", b"P\n0",
        b"\x95\3" + bytes(7) + b"N0N0",
        b"cm\nn\n)RNN\x86b0", b"\x8f(K\1\x90" + b"0", b"(1", b"](e0", b"\x97\x980", b"U\1\xff0",
    ],
)  # fmt: skip
@pytest.mark.parametrize("protocol", [b"", b"\x80\2", b"\x80\4"])
def test_oddities_that_python_reads_do_not_end_the_walk(piece: bytes, protocol: bytes) -> None:
    names = named(protocol + piece + pickle_streams.SYSTEM + b".")
    assert names is None or ("posix", "system") in names


def test_the_other_process_imports_nothing_and_says_what_it_was_asked_for(python: Python) -> None:
    assert python.asks_for(pickle_streams.SYSTEM + b".") == {("posix", "system")}
    assert python.asks_for(b"\x80\4N.") == set()


@pytest.mark.parametrize(
    "stream",
    [
        b"\x80\4NN\x95\3" + bytes(7) + b"0cix\ns\n.",
        b"\x80\4\x95\4" + bytes(7) + b"N0X\1\0\0\0a0cos\nsystem\n)R.",
    ],
)
def test_a_frame_that_ends_inside_an_instruction_is_not_vouched_for(stream: bytes) -> None:
    """The unpickler in C loses what it has read ahead of it, where a stream cannot be peeked
    into.
    """
    assert named(stream) is None
