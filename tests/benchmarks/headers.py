"""Reading headers against the official readers: ``python tests/benchmarks/headers.py [FOLDER]``.

Each reading is a process of its own, ours and theirs in turn on the same file, and the best of a
few counts; imports are not timed. Both sides do the same work (name, shape and type of every
tensor, key metadata) and must give the same answer. Limits, as multiples of the official reader's
time:

* GGUF, 8 GB, 152,000 tokens and 151,000 merges: at least 150 times faster than ``gguf.GGUFReader``;
* ONNX, 500 MB of weights inline: at least 50 times faster than ``onnx.load``;
* PyTorch zip, 1 GB: at least 30 times faster than ``torch.load(weights_only=True)``, where torch is
  installed;
* safetensors, 2,000 tensors, both warm: at most 2 times slower than ``safe_open``.

GGUF and ONNX take under 40 MB more than a bare interpreter. Exits 1 when a limit is missed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

BASE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(BASE))

MEMORY_MB = 40
TOKENS, MERGES = 152_064, 151_387
ROUNDS = 5
WARM_ROUNDS = 30

#: What a reading is compared by: (name, shape, dtype) of every tensor, and some metadata.
Facts = tuple[list[tuple[str, tuple[int, ...], str]], dict[str, Any]]


class Contest(NamedTuple):
    """``ratio`` is their time divided by ours: at least that much.

    ``their_rounds``: how often the slow one is asked.
    """

    label: str
    official: str
    ratio: float
    their_rounds: int = 2
    memory: bool = False
    warm: bool = False
    needs: str = ""


CONTESTS = {
    "gguf": Contest("GGUF 8 GB, 152k tokens", "gguf.GGUFReader", 150, memory=True),
    "onnx": Contest("ONNX 500 MB inline", "onnx.load", 50, their_rounds=3, memory=True),
    "torch": Contest("PyTorch zip 1 GB", "torch.load", 30, needs="torch"),
    "safetensors": Contest(
        "safetensors, 2,000 tensors", "safe_open", 0.5, their_rounds=ROUNDS, warm=True
    ),
}


def make_gguf(path: Path) -> None:
    from discovery.demo.writers.gguf import write_gguf

    metadata: dict[str, object] = {
        "general.architecture": "qwen2",
        "general.name": "Benchmark",
        "qwen2.context_length": 32_768,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.tokens": [f"Ġtoken{number}" for number in range(TOKENS)],
        "tokenizer.ggml.token_type": [1] * TOKENS,
        "tokenizer.ggml.merges": [f"Ġm{number} e{number % 997}" for number in range(MERGES)],
    }
    tensors = [(f"blk.{number}.ffn_up.weight", "F16", (4096, 3328)) for number in range(300)]
    write_gguf(path, metadata, tensors)


def make_onnx(path: Path) -> None:
    from discovery.demo.writers.onnx import Node, write_onnx

    nodes = [
        Node("MatMul", [f"h{number}", f"layer.{number}.weight"], [f"h{number + 1}"])
        for number in range(250)
    ]
    tensors = [(f"layer.{number}.weight", "F32", (512, 1024)) for number in range(250)]
    write_onnx(
        path,
        tensors,
        [("h0", "F32", ("batch", 512))],
        [("h250", "F32", ("batch", 1024))],
        nodes=nodes,
    )


def make_torch(path: Path) -> None:
    from discovery.demo.writers.torch import write_torch_zip

    write_torch_zip(
        path, [(f"layers.{number}.weight", "F16", (1280, 1400)) for number in range(300)]
    )


def make_safetensors(path: Path) -> None:
    from discovery.demo.writers.safetensors import write_safetensors

    write_safetensors(
        path,
        [
            (f"model.layers.{number // 10}.part{number % 10}.weight", "BF16", (64, 64))
            for number in range(2_000)
        ],
    )


def ours(kind: str) -> Callable[[Path], Facts]:
    name = {"torch": "pytorch"}.get(kind, kind)
    read = importlib.import_module(f"discovery.engine.formats.{name}").read

    def reading(path: Path) -> Facts:
        with path.open("rb") as stream:
            header = read(stream, path.stat().st_size)
        metadata = header.metadata
        if kind == "gguf":
            keys = ("general.architecture", "general.name", "qwen2.context_length")
            lists = ("tokenizer.ggml.tokens", "tokenizer.ggml.merges")
            metadata = {key: metadata[key] for key in keys} | {
                key: metadata[key].length for key in lists
            }
        elif kind == "onnx":
            metadata = {
                "operators": metadata["operators"],
                "inputs": [(p["name"], list(map(str, p["shape"]))) for p in metadata["inputs"]],
            }
        else:
            metadata = {}
        return [(t.name, t.shape, t.dtype) for t in header.tensors], dict(metadata)

    return reading


def gguf_reader() -> Callable[[Path], Facts]:
    from gguf import GGUFReader

    def reading(path: Path) -> Facts:
        reader = GGUFReader(path)
        keys = ("general.architecture", "general.name", "qwen2.context_length")
        metadata: dict[str, Any] = {key: reader.fields[key].contents() for key in keys}
        metadata |= {
            key: len(reader.fields[key].data)
            for key in ("tokenizer.ggml.tokens", "tokenizer.ggml.merges")
        }
        return [
            (t.name, tuple(int(n) for n in reversed(t.shape)), t.tensor_type.name)
            for t in reader.tensors
        ], metadata

    return reading


def onnx_load() -> Callable[[Path], Facts]:
    import onnx

    names = {onnx.TensorProto.FLOAT: "F32"}

    def reading(path: Path) -> Facts:
        graph = onnx.load(str(path)).graph
        operators: dict[str, int] = {}
        for node in graph.node:
            operators[node.op_type] = operators.get(node.op_type, 0) + 1
        inputs = [
            (port.name, [d.dim_param or str(d.dim_value) for d in port.type.tensor_type.shape.dim])
            for port in graph.input
        ]
        return [(t.name, tuple(t.dims), names[t.data_type]) for t in graph.initializer], {
            "operators": operators,
            "inputs": inputs,
        }

    return reading


def torch_load() -> Callable[[Path], Facts]:
    import torch

    names = {torch.float16: "F16"}

    def reading(path: Path) -> Facts:
        return [
            (name, tuple(t.shape), names[t.dtype])
            for name, t in torch.load(path, weights_only=True).items()
        ], {}

    return reading


def safe_open() -> Callable[[Path], Facts]:
    import safetensors

    def reading(path: Path) -> Facts:
        file = safetensors.safe_open(path, "numpy")
        # It is no dict.
        slices = ((name, file.get_slice(name)) for name in file.keys())  # noqa: SIM118
        return [(name, tuple(part.get_shape()), part.get_dtype()) for name, part in slices], {}

    return reading


MAKERS = {
    "gguf": make_gguf,
    "onnx": make_onnx,
    "torch": make_torch,
    "safetensors": make_safetensors,
}
THEIRS = {"gguf": gguf_reader, "onnx": onnx_load, "torch": torch_load, "safetensors": safe_open}


def measure(kind: str, side: str, path: Path) -> dict[str, Any]:
    """In the child: seconds, peak memory in MB, and a digest of what was read."""
    import resource

    reading = ours(kind) if side == "ours" else THEIRS[kind]()
    rounds = WARM_ROUNDS if CONTESTS[kind].warm else 0
    for _ in range(min(rounds, 2)):
        reading(path)
    seconds = []
    for _ in range(max(rounds, 1)):
        started = time.perf_counter()
        facts = reading(path)
        seconds.append(time.perf_counter() - started)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1024 if sys.platform != "darwin" else 1 << 20
    )
    tensors = sorted((name, list(shape), dtype) for name, shape, dtype in facts[0])
    digest = hashlib.sha256(json.dumps([tensors, facts[1]], sort_keys=True).encode()).hexdigest()
    return {
        "seconds": statistics.median(seconds),
        "peak": peak,
        "tensors": len(tensors),
        "digest": digest,
        "metadata": facts[1],
    }


def child(*arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, __file__, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    if done.returncode:
        sys.exit(f"{' '.join(arguments)} failed:\n{done.stderr[-3000:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def bare_memory() -> float:
    code = "import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return int(done.stdout) / (1024 if sys.platform != "darwin" else 1 << 20)


def compete(kind: str, folder: Path, bare: float) -> list[str]:
    """One line of the table; what was missed."""
    contest, path = CONTESTS[kind], folder / f"benchmark.{kind}"
    if contest.needs and importlib.util.find_spec(contest.needs) is None:
        print(f"{contest.label:<28} {contest.needs} is not installed: not measured")
        return []
    child("make", kind, str(path))
    mine, theirs = [], []
    for number in range(ROUNDS):
        mine.append(child("ours", kind, str(path)))
        if number < contest.their_rounds:
            theirs.append(child("theirs", kind, str(path)))
    path.unlink()
    our_time, their_time = (
        min(result["seconds"] for result in results) for results in (mine, theirs)
    )
    memory, ratio = max(result["peak"] for result in mine) - bare, their_time / our_time
    print(
        f"{contest.label:<28} {our_time * 1000:>8.1f} ms  {contest.official:>16}"
        f" {their_time * 1000:>8.1f} ms  {ratio:>7.1f}x (at least {contest.ratio:g}x) "
        f" {memory:>5.1f} MB{f' (at most {MEMORY_MB})' if contest.memory else ''}"
    )
    missed = (
        []
        if ratio >= contest.ratio
        else [
            f"{contest.label}: {ratio:.1f} times {contest.official}, the limit is {contest.ratio:g}"
        ]
    )
    if contest.memory and memory > MEMORY_MB:
        missed.append(
            f"{contest.label}: {memory:.1f} MB above a bare interpreter, the limit is {MEMORY_MB}"
        )
    if len({result["digest"] for result in mine + theirs}) > 1:
        missed.append(
            f"{contest.label}: ours and {contest.official} disagree: {mine[0]['metadata']},"
            f" {theirs[0]['metadata']}"
        )
    return missed


def main(folder: Path) -> int:
    bare = bare_memory()
    missed = [text for kind in CONTESTS for text in compete(kind, folder, bare)]
    for text in missed:
        print(f"MISSED  {text}")
    return 1 if missed else 0


if __name__ == "__main__":
    if len(sys.argv) == 4:
        side, kind, path = sys.argv[1], sys.argv[2], Path(sys.argv[3])
        print(
            json.dumps(
                {"made": MAKERS[kind](path)} if side == "make" else measure(kind, side, path)
            )
        )
    else:
        with tempfile.TemporaryDirectory(
            dir=sys.argv[1] if len(sys.argv) == 2 else None
        ) as temporary:
            sys.exit(main(Path(temporary)))
