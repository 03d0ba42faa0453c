"""What the pickles of a checkpoint hold and do, put together: the model's own tensors, counted
once, and every problem.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

from discovery.engine.archives.archives import Inspector
from discovery.engine.archives.torch_tensors import Found, Storage, collect, is_tensor
from discovery.engine.core.parameters import count_parameters, main_dtype
from discovery.engine.core.types import External, Header, Problem, Tensor
from discovery.engine.core.vocabulary import Severity
from discovery.engine.pickles.arrays_beside import arrays_beside
from discovery.engine.pickles.pickle_owner import Owner, owner
from discovery.engine.pickles.pickles import Object, Scanner

NAME = "pytorch"
#: Programs of torch's, and objects that other libraries unpickle.
TORCHSCRIPT, OBJECT = "torchscript", "joblib"

MAX_TENSORS = 100_000
MAX_PROBLEMS_PER_CODE = 10
MAX_SCALARS = 50
MAX_SCALAR_TEXT = 200

#: What trainers call the weights, best first; what they keep beside them.
_WRAPPERS = (
    "state_dict", "model_state_dict", "model", "module", "ema", "ema_state_dict", "params_ema",
    "params", "net", "network", "generator", "g_ema", "weight", "weights",
)  # fmt: skip
_NOT_WEIGHTS = frozenset({
    "optimizer", "optimizer_state_dict", "optimizer_states", "optimizers", "optim", "lr_scheduler",
    "lr_schedulers", "scheduler", "callbacks",
    "loops", "scaler", "amp", "rng_state", "rng_states", "random_states",
})  # fmt: skip
_SETTINGS = ("hyper_parameters", "hparams", "args", "train_args", "opt", "cfg", "config")


@dataclass
class Contents:
    """What the pickles of a file hold and do."""

    tensors: list[Found] = field(default_factory=list)
    imports: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    root: Any = None

    def add_problem(self, problem: Problem) -> None:
        if (
            problem.code == "unsafe_pickle"
            or sum(known.code == problem.code for known in self.problems) < MAX_PROBLEMS_PER_CODE
        ):
            self.problems.append(problem)

    def add_scanned(self, scanner: Scanner | Inspector) -> None:
        for problem in scanner.problems() if isinstance(scanner, Scanner) else scanner.problems:
            self.add_problem(problem)
        self.imports.update(
            {name: offset for name, offset in scanner.imports.items() if name not in self.imports}
        )

    def add_value(self, root: Any) -> None:
        self.root = root if self.root is None else self.root
        for found in collect(root):
            if len(self.tensors) >= MAX_TENSORS:
                self.add_problem(
                    Problem(
                        "tensor_invalid",
                        f"it has more than {MAX_TENSORS:,} tensors: the rest is not counted",
                        "",
                    )
                )
                break
            if isinstance(found, Found):
                self.tensors.append(found)
                if found.storage and found.end > found.storage.size:
                    text = (
                        f"tensor {found.tensor.name[:80]!r} needs {found.end:,} bytes of a storage"
                        f" of {found.storage.size:,}"
                    )
                    self.add_problem(Problem("tensor_bounds", text, ""))
            else:
                text = f"tensor {'.'.join(found.keys)[:80]!r} cannot be rebuilt: {found.reason}"
                self.add_problem(Problem("tensor_invalid", text, "", Severity.WARNING))
        self.metadata |= _scalars(root)

    @property
    def storages(self) -> dict[str, Storage]:
        return {found.storage.key: found.storage for found in self.tensors if found.storage}

    @property
    def is_unsafe(self) -> bool:
        return any(problem.severity is Severity.ERROR for problem in self.problems)

    def header(
        self,
        container: str,
        offsets: dict[str, int] | None = None,
        expected_size: int | None = None,
    ) -> Header:
        if container == "pickle" and (found := owner(self.root, self.imports)):
            made = python_object(found, container, list(self.imports), self.problems)
            # Of plain arrays the numbers are all there is; an object of a library keeps others too.
            arrays = [] if found.cls else [each.tensor for each in self.tensors]
            return replace(
                made,
                externals=[External(name, 1) for name in arrays_beside(self.root)],
                tensors=arrays,
                parameter_count=count_parameters(_unique(self.tensors)) if arrays else None,
                dtype=main_dtype(arrays),
            )
        chosen = _weights(self.tensors)
        tensors = [_placed(found, offsets) for found in chosen]
        return Header(
            format=TORCHSCRIPT if container == TORCHSCRIPT else NAME,
            tensors=tensors,
            metadata={"container": container, **self.metadata},
            parameter_count=count_parameters(_unique(chosen)) if tensors else None,
            dtype=main_dtype(tensors),
            expected_size=expected_size,
            imports=list(self.imports),
            problems=self.problems,
        )


def python_object(
    found: Owner, container: str, imports: Sequence[str], problems: Sequence[Problem]
) -> Header:
    """The header of a pickle that another library than torch loads."""
    metadata = {"container": container, "class": str(found.cls) if found.cls else None}
    return Header(
        format=OBJECT,
        metadata={**metadata, "library_version": found.version},
        imports=imports,
        problems=problems,
        type=found.type,
        fields={"architecture": found.cls.name[:120] if found.cls else None},
    )


def _placed(found: Found, offsets: dict[str, int] | None) -> Tensor:
    """With the offset from the start of the file, where the file says where its storages are."""
    if offsets is None or found.storage is None:
        return found.tensor
    start = offsets.get(found.storage.key, -1)
    return found.tensor._replace(offset=start + found.tensor.offset if start >= 0 else -1)


def _unique(tensors: Sequence[Found]) -> list[Tensor]:
    """Without second views of the same bytes: tied weights are one set of parameters."""
    unique = [found.tensor for found in tensors if found.storage is None]
    views = [(found.storage.key, found.tensor) for found in tensors if found.storage]
    views.sort(key=lambda view: (view[0], view[1].offset, -view[1].size))
    reached: tuple[str, int] = ("", 0)
    for key, tensor in views:
        end = tensor.offset + tensor.size
        if reached[0] != key or end > reached[1] or not tensor.size:
            unique.append(tensor)
            reached = (key, end)
    return unique


def _weights(tensors: Sequence[Found]) -> list[Found]:
    """The model's own tensors, without the wrapper they came in and without what an optimizer
    keeps.
    """
    chosen = [
        found for found in tensors if not (len(found.keys) > 1 and found.keys[0] in _NOT_WEIGHTS)
    ]
    for wrappers in (_WRAPPERS, _WRAPPERS[:2]):
        tops = {found.keys[0] for found in chosen if len(found.keys) > 1}
        wrapper = next((name for name in wrappers if name in tops), None)
        if wrapper is not None:
            chosen = [found for found in chosen if len(found.keys) > 1 and found.keys[0] == wrapper]
            chosen = [
                found._replace(
                    keys=found.keys[1:], tensor=found.tensor._replace(name=".".join(found.keys[1:]))
                )
                for found in chosen
            ]
    return chosen


def _scalars(root: Any) -> dict[str, Any]:
    """Scalars stored with the weights: epoch, step, versions, and the training settings one level
    down.
    """
    if type(root) is not Object or is_tensor(root):
        return {}
    kept: dict[str, Any] = {}
    for key, value in root.items or ():
        if len(kept) >= MAX_SCALARS or type(key) is not str or key == "container":
            continue
        if _is_scalar(value):
            kept[key] = value
        elif key in _SETTINGS and type(value) is Object:
            pairs = value.items or (value.state.items if type(value.state) is Object else ()) or ()
            kept[key] = {
                name: inner
                for name, inner in pairs[:MAX_SCALARS]
                if type(name) is str and _is_scalar(inner)
            }
    return kept


def _is_scalar(value: Any) -> bool:
    if type(value) is str:
        return len(value) <= MAX_SCALAR_TEXT
    if type(value) is int:
        return -(1 << 63) <= value < 1 << 63
    return type(value) is bool or (type(value) is float and isfinite(value))
