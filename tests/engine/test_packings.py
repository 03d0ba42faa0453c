"""How large a quantized model really is: every packing, declared and undeclared, in one shard and
over two; and what configs declare, hostile ones included.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from discovery.engine.core import packings
from discovery.engine.core.packings import Declared
from discovery.engine.core.parameters import active_parameters, count_parameters
from discovery.engine.core.types import Found, Tensor
from discovery.engine.sidecars import quantization
from tests.support import builders

Read = Callable[..., dict[str, Found]]
Parts = list[tuple[str, str, tuple[int, ...]]]

O, I = 64, 128  # noqa: E741  (outputs and inputs of the one matrix)

PACKED: dict[str, tuple[Parts, Declared]] = {
    "gptq": ([("qweight", "I32", (16, O)), ("scales", "F16", (1, O)), ("g_idx", "I32", (I,)),
              ("qzeros", "I32", (1, 8))], Declared("gptq", 4)),
    "gptq 3 bits": ([("qweight", "I32", (12, O)), ("scales", "F16", (1, O)),
                     ("g_idx", "I32", (I,))], Declared()),
    "awq": ([("qweight", "I32", (I, 8)), ("scales", "F16", (1, O)), ("qzeros", "I32", (1, 8))],
            Declared()),
    "compressed": ([("weight_packed", "I32", (O, 16)), ("weight_scale", "BF16", (O, 4)),
                    ("weight_shape", "I64", (2,))], Declared("compressed-tensors", 4, 32)),
    "compressed, mixed widths": ([("weight_packed", "I32", (O, 8)),
                                  ("weight_scale", "BF16", (O, 4))],
                                 Declared("compressed-tensors", None, 32, "mixed")),
    "compressed, eight bits in groups of their own": (
        [("weight_packed", "I32", (O, 32)), ("weight_scale", "BF16", (O, 2))],
        Declared("compressed-tensors", None, None, "mixed", {}, ((4, 32), (8, 64)))),
    "compressed, eight bits by channel, others in groups": (
        [("weight_packed", "I32", (O, 32)), ("weight_scale", "BF16", (O, 1))],
        Declared("compressed-tensors", None, 32, "mixed", {}, ((4, 32), (8, None)))),
    "compressed, two widths whose scales look alike": (
        [("weight_packed", "I32", (O, 16)), ("weight_scale", "BF16", (O, 4))],
        Declared("compressed-tensors", None, None, "mixed", {}, ((2, 64), (4, 32)),
                 (("*down_proj", 2), ("*", 4)))),
    "compressed by channel": ([("weight_packed", "I32", (O, 32)), ("weight_scale", "BF16", (O, 1))],
                              Declared("compressed-tensors", 8)),
    "nvfp4 of llm-compressor": ([("weight_packed", "U8", (O, 64)),
                                 ("weight_scale", "F8_E4M3", (O, 8)),
                                 ("weight_global_scale", "F32", (1,))], Declared()),
    "nvfp4 of modelopt": ([("weight", "U8", (O, 64)), ("weight_scale", "F8_E4M3", (O, 8)),
                           ("weight_scale_2", "F32", ()), ("input_scale", "F32", ())],
                          Declared()),
    "nvfp4 of comfy, padded scales": ([("weight", "U8", (O, 64)),
                                       ("weight_scale", "F8_E4M3", (128, 8)),
                                       ("weight_scale_2", "F32", ()),
                                       ("comfy_quant", "U8", (27,))], Declared()),
    "mxfp4 of quark": ([("weight", "U8", (O, 64)), ("weight_scale", "U8", (O, 4))], Declared()),
    "mxfp6 of quark": ([("weight", "U8", (O, 96)), ("weight_scale", "U8", (O, 4))], Declared()),
    "mxfp8": ([("weight", "U8", (O, I)), ("weight_scale", "U8", (O, 4))], Declared()),
    "fp4 in int8": ([("weight", "I8", (O, 64)), ("scale", "F8_E8M0", (O, 4))], Declared("fp8")),
    "int8 by channel": ([("weight", "I8", (O, I)), ("weight_scale", "BF16", (O, 1))],
                        Declared("compressed-tensors", 8)),
    "w4a16 of modelopt": ([("weight", "U8", (32, I)), ("weight_scale", "F32", (O, 1)),
                           ("pre_quant_scale", "BF16", (I,))], Declared("modelopt", 4)),
    "fp8 in blocks": ([("weight", "F8_E4M3", (O, I)), ("weight_scale_inv", "F32", (1, 1))],
                      Declared("fp8")),
    "four bits of quark": ([("weight", "I32", (I, 8)), ("weight_scale", "BF16", (1, O)),
                            ("weight_zero_point", "I32", (1, 8))], Declared("quark", 4)),
    "vptq": ([("indices", "I32", (1, 8, 32)), ("centroids.weight", "BF16", (1, 2048)),
              ("perm", "U16", (I,)), ("weight_scale", "BF16", (I,)), ("weight_bias", "BF16", (I,))],
             Declared("vptq", weights={"m": O * I})),
    "fp8 with a bound and scales of the cache": (
        [("weight", "F8_E4M3", (O, I)), ("weight_scale", "F32", (O, 1)),
         ("input_scale_ub", "F32", (1,)), ("k_scale", "BF16", (1,))], Declared("fbgemm_fp8")),
    "exl2": ([("q_weight", "I32", (20, O)), ("q_invperm", "I16", (I,)), ("q_scale", "I32", (2, 8)),
              ("q_scale_max", "F16", (2,)), ("q_groups", "I16", (4,)),
              ("q_group_map", "I16", (256,))], Declared()),
    "exl3": ([("trellis", "I16", (8, 4, 48)), ("suh", "F16", (I,)), ("svh", "F16", (O,)),
              ("mcg", "I32", ())], Declared()),
    "bitnet": ([("weight", "U8", (16, I)), ("weight_scale", "BF16", (1,))], Declared("bitnet")),
    "aqlm": ([("codes", "I16", (O, 16, 1)), ("codebooks", "F16", (1, 256, 1, 8)),
              ("scales", "F16", (O, 1, 1, 1))], Declared("aqlm")),
    "aqlm, two codebooks": ([("codes", "I8", (O, 16, 2)), ("codebooks", "F16", (2, 256, 1, 8)),
                             ("scales", "F16", (O, 1, 1, 1))], Declared("aqlm")),
    "hqq": ([("W_q", "U8", (64, 64)), ("scale", "F16", (128, 1)), ("zero", "F16", (128, 1)),
             ("nbits", "I64", ()), ("shape", "I64", (2,))], Declared("hqq", 4)),
    "quanto": ([("weight._data", "U8", (32, I)), ("weight._scale", "BF16", (O, 1)),
                ("weight._shift", "BF16", (O, 1)), ("input_scale", "F32", ())], Declared()),
    "torchao int4": ([("_weight_qdata", "U8", (O, 64)), ("_weight_scale", "BF16", (1, O)),
                      ("_weight_zero_point", "BF16", (1, O))], Declared("torchao", 4)),
    "torchao int4, two in an int8": (
        [("_weight_qdata", "I8", (O, 64)), ("_weight_scale", "BF16", (4, O)),
         ("_weight_zero_point", "BF16", (4, O))], Declared("torchao", 4)),
    "torchao int8": ([("_weight_qdata", "I8", (O, I)), ("_weight_scale", "BF16", (O, 1))],
                     Declared()),
    "torchao fp8": ([("_weight_qdata", "F8_E4M3", (O, I)), ("_weight_scale", "F32", (O, 1))],
                    Declared()),
    "mlx 4 bits": ([("weight", "U32", (O, 16)), ("scales", "BF16", (O, 2)),
                    ("biases", "BF16", (O, 2))], Declared()),
    "mlx 3 bits": ([("weight", "U32", (O, 12)), ("scales", "BF16", (O, 2)),
                    ("biases", "BF16", (O, 2))], Declared("mlx", 3, 64)),
    "mlx, this module its own": ([("weight", "U32", (O, 32)), ("scales", "BF16", (O, 4)),
                                  ("biases", "BF16", (O, 4))],
                                 Declared("mlx", 4, 64, None, {"m": 32})),
    "nunchaku": ([("qweight", "I8", (O, 64)), ("wscales", "BF16", (2, O)),
                  ("proj_down", "BF16", (I, 32)), ("proj_up", "BF16", (O, 32)),
                  ("smooth_factor", "BF16", (I,))], Declared()),
    "bitsandbytes": ([("weight", "U8", (4096, 1)), ("weight.absmax", "U8", (128,)),
                      ("weight.quant_map", "F32", (16,)),
                      ("weight.quant_state.bitsandbytes__nf4", "U8", (80,))], Declared()),
    "quip": ([("Qidxs", "I16", (O, 16)), ("SU", "F16", (I,)), ("SV", "F16", (O,))], Declared()),
}  # fmt: skip


def made(parts: Parts, module: str = "m", joint: str = ".") -> list[Tensor]:
    return [Tensor(f"{module}{joint}{name}", dtype, shape, 0, 0) for name, dtype, shape in parts]


@pytest.mark.parametrize("case", PACKED)
def test_a_packed_matrix_counts_as_the_matrix_it_stands_for(case: str) -> None:
    parts, declared = PACKED[case]
    norm = Tensor("m.norm.weight", "BF16", (I,), 0, 0)
    assert count_parameters([*made(parts), norm], declared) == O * I + I


#: Those whose width the shapes tell.
TOLD = [
    name
    for name, (_, declared) in PACKED.items()
    if not (declared.bits or declared.element or declared.weights)
]


@pytest.mark.parametrize("case", TOLD)
def test_scales_may_lie_in_another_shard_than_the_weights(
    case: str, models_root: Path, read: Read
) -> None:
    parts, _ = PACKED[case]
    for number, shard in enumerate((parts[:1], parts[1:]), 1):
        builders.safetensors(
            models_root / "m" / f"model-0000{number}-of-00002.safetensors",
            [(f"m.{name}", dtype, shape) for name, dtype, shape in shard],
        )
    assert read(models_root)["m"].values["parameter_count"].value == O * I


@pytest.mark.parametrize("case", PACKED)
def test_shapes_without_sense_are_counted_somehow_and_refused_by_nobody(case: str) -> None:
    parts, declared = PACKED[case]
    for shape in ((), (0,), (0, 0, 0), (1 << 40, 1 << 20), (1,) * 8):
        odd = [(name, dtype, shape) for name, dtype, _ in parts]
        assert count_parameters(made(odd), declared) >= 0
        assert count_parameters(made([parts[0], *odd[1:]]), declared) >= 0


def test_the_share_of_packed_experts_is_that_of_the_weights_they_stand_for() -> None:
    attention = Tensor("l.attn.weight", "BF16", (100, 100), 0, 0)
    experts = made(
        [("weight", "U8", (100, 50)), ("weight_scale", "U8", (100, 4))], "l.mlp.experts.0"
    )
    assert active_parameters([attention, *experts], 20_000, 4, 1) == 12_500


@pytest.mark.parametrize(
    ("config", "label", "bits", "group"),
    [
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "modelopt-nvfp4", 4, None),
        ({"quant_algo": "W4A16_AWQ", "group_size": 128}, "w4a16_awq-4bit", 4, 128),
        ({"quant_method": "quark", "global_quant_config": {"weight": {"dtype": "fp4",
          "group_size": 32}}}, "quark-mxfp4", 4, 32),
        ({"quant_method": "quark", "global_quant_config": {"weight": [{"dtype": "int4"}]}},
         "quark-4bit", 4, None),
        ({"quant_method": "compressed-tensors", "config_groups": {
            "a": {"weights": {"num_bits": 2, "group_size": 32}},
            "b": {"weights": {"num_bits": 4, "group_size": 32}}}},
         "compressed-tensors-mixed", None, 32),
        ({"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION"}, "modelopt-mixed",
         None, None),
        ({"quant_method": "hqq", "quant_config": {"weight_quant_params": {"nbits": 3,
          "group_size": 64}}}, "hqq-3bit", 3, 64),
        ({"quant_method": "torchao", "quant_type": {"default": {"_type": "Int4WeightOnlyConfig"}}},
         "torchao-4bit", 4, None),
        ({"quant_method": "torchao", "quant_type": "int8_weight_only"}, "torchao-8bit", 8, None),
        ({"quant_method": "quanto", "weights": "int4"}, "quanto-4bit", 4, None),
        ({"quant_method": "mxfp4"}, "mxfp4", None, None),
        ({"quant_method": "vptq", "config_for_layers": {"m": {"in_features": 8,
          "out_features": 4}}}, "vptq", None, None),
        ({"quant_method": "exl2", "bits": 4.25}, "exl2", None, None),
        ({"quant_method": "exl3", "bits": 4.0}, "exl3-4bit", 4, None),
        ({"quant_method": "fp8", "fmt": "e4m3"}, "fp8", None, None),
        ({"bits": 4, "group_size": 128, "desc_act": False}, "gptq-4bit", 4, 128),
        ({"group_size": 64, "bits": 4, "model.head": {"group_size": 32, "bits": 8}}, "mlx-4bit",
         4, 64),
    ],
)  # fmt: skip
def test_what_configs_declare(
    config: dict[str, object], label: str, bits: int | None, group: int | None
) -> None:
    declared = quantization.read(config)
    assert (declared.label, declared.bits, declared.group) == (label, bits, group)


def test_groups_name_modules_by_globs_alone() -> None:
    groups = {
        "a": {"targets": ["Linear"], "weights": {"num_bits": 4, "group_size": 32}},
        "b": {"targets": ["re:.*down_proj$", "re:^(a+)+$"], "weights": {"num_bits": 2}},
        "c": {"targets": ["model.head"], "weights": {"num_bits": 8}},
    }
    declared = quantization.read({"quant_method": "compressed-tensors", "config_groups": groups})
    assert declared.targets == (("*down_proj", 2), ("model.head", 8), ("*", 4))


@pytest.mark.parametrize("targets", [5, {}, [None, 5, "x" * 10_000], ["re:" + "(" * 199]])
def test_hostile_targets_name_no_module(targets: object) -> None:
    config = {"config_groups": {"a": {"targets": targets, "weights": {"num_bits": 4}}}}
    assert not [glob for glob, _ in quantization.read(config).targets if glob != "*"]


def test_a_vector_of_scales_is_learned() -> None:
    matrix, scale = (
        Tensor("a.weight", "F8_E4M3", (O, I), 0, 0),
        Tensor("a.k_scale", "BF16", (16,), 0, 0),
    )
    assert count_parameters([matrix, scale]) == O * I + 16


@pytest.mark.parametrize(
    "config",
    [
        None, [], "int4", {}, {"quant_method": 5, "bits": -1, "group_size": "x"},
        {"config_groups": {"a": 5, "b": {"weights": []}}}, {"quant_type": {"default": []}},
        {"global_quant_config": {"weight": [[], 5, None]}, "quant_config": 7},
        {"bits": 10**30, "group_size": 10**30, "x": {"group_size": 10**30}},
        {"dtype": "int" + "9" * 100_000}, {f"m{n}": {"group_size": 3} for n in range(30_000)},
    ],
)  # fmt: skip
def test_a_hostile_declaration_costs_nothing(config: object) -> None:
    declared = quantization.read(config)
    assert len(declared.groups) <= quantization.MAX_MODULES
    for parts, _ in PACKED.values():
        assert count_parameters(made(parts), declared) >= 0


def test_what_nobody_declares_shows_in_the_tensors() -> None:
    told = {case: packings.method(made(parts)) for case, (parts, _) in PACKED.items()}
    assert told["exl2"] == "exl2"
    assert told["aqlm"] == "aqlm"
    assert told["nvfp4 of comfy, padded scales"] == "nvfp4"
    assert told["mxfp4 of quark"] == "mxfp4"
    assert told["awq"] == "awq"
    assert packings.method([Tensor("a.weight", "BF16", (4, 4), 0, 0)]) is None


@pytest.mark.parametrize(
    ("name", "config", "label"),
    [
        ("quantize_config.json", {"bits": 4, "group_size": 128, "desc_act": True}, "gptq-4bit"),
        ("hf_quant_config.json", {"quantization": {"quant_algo": "NVFP4"}}, "nvfp4"),
    ],
)
def test_a_file_beside_the_config_declares_the_quantization(
    name: str, config: dict[str, object], label: str, models_root: Path, read: Read
) -> None:
    builders.gptq(models_root / "m")
    config_file = models_root / "m/config.json"
    plain = json.loads(config_file.read_text())
    plain.pop("quantization_config")
    builders.write_json(config_file, plain)
    builders.write_json(models_root / "m" / name, config)
    assert read(models_root)["m"].values["quantization"].value == label
