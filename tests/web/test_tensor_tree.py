"""Tensors as a tree of modules."""

from __future__ import annotations

import pytest

from discovery.engine.core.types import Tensor
from discovery.services.insight.model_contents import TensorInFile
from discovery.web.shared import tensor_tree
from discovery.web.shared.tensor_tree import level


def rows(*names: str, dtype: str = "F16", size: int = 10) -> list[TensorInFile]:
    return [
        TensorInFile(Tensor(name, dtype, (size // 2,), 0, size), "m.safetensors") for name in names
    ]


LAYERS = [f"model.layers.{number}.{part}.weight" for number in range(6) for part in ("attn", "mlp")]


def test_a_level_holds_modules_with_their_sums_and_its_own_tensors() -> None:
    made = level(rows(*LAYERS, "head", "model.norm.weight"), "model")
    assert [(module.label, module.tensors, module.size) for module in made.modules] == [
        ("layers", 12, 120)
    ]
    assert [name for name, _ in made.rows] == ["norm.weight"]
    assert [name for name, _ in level(rows(*LAYERS, "head")).rows] == ["head"]


def test_a_module_that_holds_one_module_alone_is_told_as_one() -> None:
    (module,) = level(rows(*LAYERS)).modules
    assert (module.path, module.label) == ("model.layers", "model.layers")
    assert module.inside
    assert [each.label for each in module.inside.modules] == ["0", "1", "2", "3", "4", "5"]
    assert module.inside.modules[0].inside is None


def test_few_modules_are_open_at_once_but_not_without_end() -> None:
    deep = level(
        rows(*(f"a.{'b.' * depth}x{depth}.{part}" for depth in range(12) for part in "vw"))
    )
    opened, at = 0, deep
    while at.modules and at.modules[-1].inside:
        opened, at = opened + 1, at.modules[-1].inside
    assert opened == tensor_tree.DEEP


def test_slashes_part_names_where_a_library_writes_paths() -> None:
    made = level(
        rows(
            *(
                f"bert/encoder/layer_{number}/{part}:0"
                for number in (0, 1)
                for part in ("kernel", "bias")
            )
        ),
        "bert/encoder",
    )
    assert [module.label for module in made.modules] == ["layer_0", "layer_1"]


def test_a_name_that_begins_like_a_module_is_not_in_it() -> None:
    made = level(rows("model.layer.weight", "model.layernorm.weight"), "model.layer")
    assert [name for name, _ in made.rows] == ["weight"]


def test_a_module_that_holds_much_is_folded() -> None:
    (module,) = level(
        rows(*(f"model.layers.{number}.{part}" for number in range(30) for part in "ab"))
    ).modules
    assert module.inside
    assert not module.is_open
    assert level(rows(*LAYERS)).modules[0].is_open


def test_types_are_told_by_their_bytes() -> None:
    (module,) = level(
        [
            *rows("a.x", dtype="F32", size=2),
            *rows("a.y", "a.z", dtype="Q4_K"),
            *rows("a.v", dtype="I8", size=4),
        ]
    ).modules
    assert module.told_types == "Q4_K, I8 …"
    parts = tensor_tree.type_bar(rows("a", dtype="F16", size=30) + rows("b", dtype="F32", size=10))
    assert [(part.label, part.width) for part in parts] == [("F16", 75.0), ("F32", 25.0)]


def test_many_types_share_the_last_colour() -> None:
    parts = tensor_tree.type_bar(
        [row for index in range(8) for row in rows("t", dtype=f"T{index}", size=10)]
    )
    assert [part.label for part in parts] == ["T0", "T1", "T2", "T3", "others"]
    assert parts[-1].size == 40


@pytest.mark.parametrize(
    "names", [(), ("",), (".",), ("a..b",), ("a.", ".a"), ("a", "a.b", "a.b.c")]
)
def test_odd_names_break_nothing(names: tuple[str, ...]) -> None:
    made = level(rows(*names))
    assert sum(module.tensors for module in made.modules) + len(made.rows) == len(names)


def test_more_tensors_than_a_level_shows_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tensor_tree, "MAX_ROWS", 3)
    made = level(rows(*(f"t{number}" for number in range(10))))
    assert (len(made.rows), made.cut) == (3, 7)
