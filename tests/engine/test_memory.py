"""KV caches of well-known models to the byte, from their configs and from their GGUF headers;
estimates; what fits where.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from discovery.engine.formats.gguf import Array
from discovery.engine.memory import (
    KV_TYPES,
    AttentionShape,
    Gpu,
    Kind,
    LayerGroup,
    Machine,
    Machines,
    estimate,
    fits,
    kv_cache_bytes,
    shape_from_config,
    shape_from_gguf,
    without_cache,
)
from tests.engine.memory_models import KNOWN, Known, header

GIB = 1 << 30
MIB = 1 << 20


def _cases() -> list[Any]:
    sources = [
        (known, kind, source)
        for known in KNOWN
        for kind, source in (("config", known.config), ("gguf", known.gguf))
        if source
    ]
    return [
        pytest.param(known, kind, source, id=f"{known.name} ({kind})")
        for known, kind, source in sources
    ]


@pytest.mark.parametrize(("known", "kind", "source"), _cases())
def test_the_cache_of_a_well_known_model_is_right_to_the_byte(
    known: Known, kind: str, source: dict[str, Any]
) -> None:
    shape = shape_from_config(source) if kind == "config" else shape_from_gguf(source)
    assert shape is not None
    assert known.arithmetic == known.bytes
    assert kv_cache_bytes(shape, known.context) == known.bytes
    assert shape.missing == ()
    assert AttentionShape.from_json(json.loads(json.dumps(shape.to_json()))) == shape


def _shape(name: str) -> AttentionShape:
    shape = shape_from_config(
        next(known for known in KNOWN if known.name.startswith(name)).config or {}
    )
    assert shape is not None
    return shape


def test_the_32k_cache_of_qwen3_235b_is_5_88_gib_where_ollamas_formula_says_2_94() -> None:
    shape = _shape("Qwen3-235B")
    assert round(kv_cache_bytes(shape, 32768) / GIB, 2) == 5.88
    assert round(2 * 94 * 4 * (4096 // 64) * 32768 * 2 / GIB, 2) == 2.94


def test_layers_that_are_alike_are_counted_together() -> None:
    assert _shape("Gemma 3 27B").groups == (
        LayerGroup(Kind.WINDOW, 52, 16, 128, 128, 1024),
        LayerGroup(Kind.FULL, 10, 16, 128, 128),
    )


# One position of Llama 3.1 8B in one layer: 1,024 values of the key, 1,024 of the value; block
# sizes of ggml-common.h.
@pytest.mark.parametrize(
    ("kv_type", "row"),
    [
        ("f32", 1024 * 4), ("f16", 1024 * 2), ("bf16", 1024 * 2), ("q8_0", 32 * 34),
        ("q5_1", 32 * 24), ("q5_0", 32 * 22), ("q4_1", 32 * 20),
        ("q4_0", 32 * 18),
    ],
)  # fmt: skip
def test_a_quantized_cache_has_the_row_sizes_of_ggml(kv_type: str, row: int) -> None:
    assert kv_cache_bytes(_shape("Llama 3.1"), 8192, kv_type) == 32 * 2 * row * 8192


def test_a_row_that_ends_inside_a_block_takes_the_whole_block() -> None:
    shape = AttentionShape((LayerGroup(Kind.FULL, 1, 1, 33, 31),))
    assert kv_cache_bytes(shape, 10, "q4_0") == 10 * (2 * 18 + 18)


def test_the_state_of_recurrent_layers_stays_f32_whatever_the_cache_type() -> None:
    shape = _shape("Mamba 2.8B")
    assert {
        kv_cache_bytes(shape, context, kv_type) for context in (1, 1 << 20) for kv_type in KV_TYPES
    } == {24_903_680}


def test_the_compressed_cache_of_deepseek_can_be_quantized() -> None:
    assert kv_cache_bytes(_shape("DeepSeek V3"), 1, "q8_0") == 61 * 576 // 32 * 34


def test_a_window_longer_than_the_context_costs_only_the_context() -> None:
    assert kv_cache_bytes(_shape("Gemma 3 27B"), 512) == 62 * 16 * 256 * 2 * 512


def test_an_unknown_cache_type_and_a_negative_context_are_refused() -> None:
    with pytest.raises(ValueError, match="'q3_k' is not a type of KV cache; choose from f32, f16"):
        kv_cache_bytes(_shape("Llama 3.1"), 1, "q3_k")
    with pytest.raises(ValueError, match="negative"):
        kv_cache_bytes(_shape("Llama 3.1"), -1)


# Spellings beside those of the models above.
LLAMA = {
    "model_type": "llama",
    "hidden_size": 4096,
    "num_hidden_layers": 4,
    "num_attention_heads": 32,
    "max_position_embeddings": 8192,
}
WINDOWED = LLAMA | {"num_key_value_heads": 8, "sliding_window": 1024}


def groups(config: dict[str, Any]) -> list[tuple[str, int, int, int]]:
    """(kind, layers, kv_heads, key_length) of each group."""
    shape = shape_from_config(config)
    assert shape is not None
    return [
        (group.kind.value, group.layers, group.kv_heads, group.key_length) for group in shape.groups
    ]


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        pytest.param({"model_type": "mpt", "d_model": 4096, "n_heads": 32, "n_layers": 4,
                "attn_config": {"kv_n_heads": 8}}, [("full", 4, 8, 128)],
                     id="heads of DBRX and MPT lie in attn_config"),
        pytest.param({"model_type": "gpt2", "n_embd": 768, "n_head": 12, "n_layer": 4},
            [("full", 4, 12, 64)], id="GPT-2"),
        pytest.param({"model_type": "qwen", "hidden_size": 4096, "num_hidden_layers": 4,
                "num_attention_heads": 32, "kv_channels": 64},
                     [("full", 4, 32, 64)], id="kv_channels states the head length"),
        pytest.param({"model_type": "falcon", "hidden_size": 8192, "num_hidden_layers": 4,
                "num_attention_heads": 128, "num_kv_heads": 8,
                      "multi_query": True, "new_decoder_architecture": True}, [("full", 4, 8, 64)],
                      id="Falcon 40B has groups"),
        pytest.param({"model_type": "RefinedWebModel", "hidden_size": 4544, "n_layer": 4,
                "n_head": 71, "multi_query": True},
                     [("full", 4, 1, 64)], id="Falcon under its first name"),
        pytest.param({"model_type": "chatglm", "hidden_size": 4096, "num_layers": 4,
                "num_attention_heads": 32, "kv_channels": 128,
                      "multi_query_attention": False, "multi_query_group_num": 1},
                      [("full", 4, 32, 128)], id="ChatGLM without shared heads"),
        pytest.param(LLAMA | {"num_key_value_heads_per_layer": [4, 4, 2, 1]},
            [("full", 2, 4, 128), ("full", 1, 2, 128), ("full", 1, 1, 128)],
                     id="heads for each layer"),
        pytest.param(LLAMA | {"block_configs":
                     [{"attention": {"n_heads_in_group": 8}}, {"attention": {"no_op": True}}] * 2},
                     [("full", 2, 4, 128)], id="pruned layers of Nemotron"),
        pytest.param(WINDOWED | {"model_type": "qwen2", "use_sliding_window": False},
            [("full", 4, 8, 128)], id="a window that is switched off"),
        pytest.param(WINDOWED | {"model_type": "qwen2"}, [("full", 4, 8, 128)],
            id="a window of Qwen 2 is off unless switched on"),
        pytest.param(WINDOWED | {"model_type": "qwen2", "use_sliding_window": True,
                "max_window_layers": 3},
                     [("full", 3, 8, 128), ("window", 1, 8, 128)], id="windows from a layer on"),
        pytest.param(WINDOWED | {"model_type": "cohere2"},
            [("window", 3, 8, 128), ("full", 1, 8, 128)], id="Cohere 2: three local, one global"),
        pytest.param(WINDOWED | {"model_type": "gemma3_text", "head_dim": 128,
                "sliding_window_pattern": 2},
                     [("window", 2, 8, 128), ("full", 2, 8, 128)],
                     id="a stated pattern beats the known one"),
        pytest.param(WINDOWED | {"model_type": "exaone4", "sliding_window_pattern": "LLLG"},
            [("window", 3, 8, 128), ("full", 1, 8, 128)],
                     id="a pattern in letters"),
        pytest.param(WINDOWED | {"sliding_window": 8192, "model_type": "new-model"},
            [("full", 4, 8, 128)], id="a window as long as the context"),
        pytest.param(WINDOWED | {"layer_types": ["full_attention"] * 4}, [("full", 4, 8, 128)],
            id="layer types beat the window"),
        pytest.param(LLAMA | {"model_type": "llama4_text", "num_key_value_heads": 8,
                "attention_chunk_size": 2048, "no_rope_layers": [1, 1, 1, 0]},
                     [("window", 3, 8, 128), ("full", 1, 8, 128)],
                     id="chunked attention of Llama 4"),
        pytest.param(LLAMA | {"num_kv_shared_layers": 1}, [("full", 3, 32, 128)],
            id="layers that use the cache of another"),
        pytest.param(WINDOWED | {"model_type": "gemma4_text",
                "layer_types": ["sliding_attention"] * 3 + ["full_attention"],
                "global_head_dim": 512,
                                 "num_global_key_value_heads": 2},
                                 [("window", 3, 8, 128), ("full", 1, 2, 512)],
                                 id="global heads of their own"),
        pytest.param({"model_type": "falcon_h1", "hidden_size": 1024, "num_hidden_layers": 2,
                "num_attention_heads": 8, "num_key_value_heads": 2,
                      "head_dim": 128, "mamba_d_ssm": 1536, "mamba_d_state": 128,
                      "mamba_n_groups": 1, "mamba_d_conv": 4},
                     [("full", 2, 2, 128), ("recurrent", 2, 0, 0)],
                     id="Falcon H1 does both in every layer"),
        pytest.param(LLAMA | {"model_type": "recurrent_gemma",
                "block_types": ["recurrent", "attention"], "num_key_value_heads": 1,
                "lru_width": 4096,
                              "conv1d_width": 4, "attention_window_size": 2048},
                              [("recurrent", 2, 0, 0), ("window", 2, 1, 128)],
                     id="all attention of RecurrentGemma is local"),
        pytest.param({"thinker_config": {"text_config": WINDOWED | {"model_type": "mistral"}}},
            [("window", 4, 8, 128)], id="nested twice"),
        pytest.param(LLAMA | {"model_type": "deepseek_v2", "kv_lora_rank": None,
                "qk_rope_head_dim": 64, "use_mla": False}, [("full", 4, 32, 128)],
                     id="DeepSeek without latent attention"),
    ],
)  # fmt: skip
def test_other_spellings_say_the_same(
    config: dict[str, Any], expected: list[tuple[str, int, int, int]]
) -> None:
    assert groups(config) == expected


@pytest.mark.parametrize(
    ("config", "missing"),
    [
        (WINDOWED | {"model_type": "new-model"}, "which layers look at no more than 1,024 tokens"),
        (LLAMA | {"model_type": "new-hybrid", "mamba_d_state": 16}, "what kind each layer is"),
        (LLAMA | {"layer_types": ["full_attention", "dreaming"]}, "what kind each layer is"),
        (LLAMA | {"layer_types": ["full_attention", "mamba"]},
            "the size of the state of its recurrent layers"),
        ({"model_type": "llama", "num_hidden_layers": 4, "num_attention_heads": 7,
                "hidden_size": 100}, "the length of its attention heads"),
        ({"model_type": "x", "num_hidden_layers": 4, "hidden_size": 100},
            "the number of attention heads"),
        (LLAMA | {"model_type": "mllama_text_model", "cross_attention_layers": [1]},
            "the length of the picture's tokens, which some layers keep"),
        ({"model_type": "vision-encoder-decoder", "is_encoder_decoder": True,
                "decoder": LLAMA | {"model_type": "mbart", "decoder_layers": 4}},
         "the length of the encoder's output, which the decoder keeps"),
    ],
)  # fmt: skip
def test_what_a_config_leaves_out_is_named_and_the_rest_is_a_lower_bound(
    config: dict[str, Any], missing: str
) -> None:
    shape = shape_from_config(config)
    assert shape is not None
    assert missing in shape.missing
    told = estimate(1000, shape, context=2048)
    assert told.at_least
    assert missing in told.missing
    whole = kv_cache_bytes(AttentionShape((LayerGroup(Kind.FULL, 4, 32, 128, 128),)), 2048)
    assert (told.kv_cache_bytes or 0) <= whole


def test_a_gguf_from_before_latent_attention_keeps_whole_keys_and_values() -> None:
    # DeepSeek-V2-Lite as llama.cpp converted it in 2024: 27 layers, 16 heads, keys of 192, values
    # of 128.
    metadata = header(
        "deepseek2", block_count=27, context_length=163840, embedding_length=2048,
        attention__head_count=16, attention__head_count_kv=16,
        attention__key_length=192, attention__value_length=128, attention__kv_lora_rank=512,
        rope__dimension_count=64,
    )  # fmt: skip
    shape = shape_from_gguf(metadata)
    assert shape is not None
    assert kv_cache_bytes(shape, 4096) == 27 * 16 * (192 + 128) * 4096 * 2


@pytest.mark.parametrize(
    ("architecture", "extra", "windows"),
    [
        # 20 of 30 layers have a cache of their own, every fifth is global.
        ("gemma3n", {"attention__sliding_window": 512}, 16),
        ("cohere2", {"attention__sliding_window": 512}, 23),
        # The global layer comes first: 8 of 30.
        ("smallthinker", {"attention__sliding_window": 512}, 22),
        ("llama4", {}, 23),  # 8,192 tokens, by the program
        ("phi3", {"attention__sliding_window": 512}, 0),  # llama.cpp does not use it
        (
            "gemma4",
            {
                "attention__sliding_window": 512,
                "attention__sliding_window_pattern": [True, True, False],
            },
            20,
        ),
        ("olmo2", {"attention__sliding_window": 512, "attention__sliding_window_pattern": 2}, 15),
        ("qwen2", {"attention__sliding_window": 32768}, 0),
    ],
)
def test_layers_slide_in_a_gguf_as_llama_cpp_has_it(
    architecture: str, extra: dict[str, Any], windows: int
) -> None:
    shape = shape_from_gguf(
        header(
            architecture,
            block_count=30,
            context_length=32768,
            embedding_length=1024,
            attention__head_count=8,
            attention__head_count_kv=2,
            **extra,
        )
    )
    assert shape is not None
    assert sum(group.layers for group in shape.groups if group.kind is Kind.WINDOW) == windows
    assert shape.missing == ()


def test_layers_that_only_predict_further_tokens_are_not_counted() -> None:
    shape = shape_from_gguf(
        header("glm4moe", block_count=47, nextn_predict_layers=1, embedding_length=4096,
            attention__head_count=96, attention__head_count_kv=8,
               attention__key_length=128, attention__value_length=128)
    )  # fmt: skip
    assert shape is not None
    assert shape.layer_count == 46


def test_the_vocabulary_of_a_gguf_is_counted_where_the_list_was_too_long_to_keep() -> None:
    shape = shape_from_gguf(
        header("llama", block_count=2) | {"tokenizer.ggml.tokens": Array(128256)}
    )
    assert shape is not None
    assert shape.vocab_size == 128256


# --- the sum
# --------------------------------------------------------------------------------------------------


def test_every_term_of_an_estimate_is_shown_and_adds_up() -> None:
    # Llama 3.1 8B in Q4_K_M: 4,912,898,304 bytes of tensors; llama.cpp's log at 8k: KV 1024 MiB,
    # compute 258.5 MiB (and the mask, 16 MiB).
    told = estimate(4_912_898_304, _shape("Llama 3.1"), context=8192, projector_bytes=600 * MIB)
    assert told.kv_cache_bytes == 1024 * MIB
    assert (
        told.overhead_bytes
        == (128256 + 4096) * 512 * 4 + 8192 * 512 * 4
        == int(258.5 * MIB) + 16 * MIB
    )
    assert told.total_bytes == 4_912_898_304 + 1024 * MIB + int(258.5 * MIB) + 16 * MIB + 600 * MIB
    assert (told.context_length, told.kv_type, told.at_least, told.missing) == (
        8192,
        "f16",
        False,
        (),
    )


def test_without_a_chosen_context_the_models_own_counts_and_no_longer_one_ever_does() -> None:
    shape = _shape("Llama 2 7B")
    assert estimate(1, shape).context_length == 4096
    assert estimate(1, shape, context=1 << 20).context_length == 4096
    assert (
        estimate(1, shape, context=2048).kv_cache_bytes
        == (estimate(1, shape).kv_cache_bytes or 0) // 2
    )


def test_a_model_whose_layers_are_not_described_takes_at_least_its_weights() -> None:
    told = estimate(5 * GIB, None, context=4096)
    assert (told.kv_cache_bytes, told.overhead_bytes, told.total_bytes) == (None, None, 5 * GIB)
    assert told.at_least
    assert told.missing == ("the shape of its layers",)


def test_weights_that_are_not_known_make_no_total() -> None:
    told = estimate(None, _shape("Llama 3.1"), context=4096)
    assert told.total_bytes is None
    assert told.kv_cache_bytes == 512 * MIB
    assert told.missing == ("the size of the weights",)


def test_without_any_context_length_the_cache_is_missing_and_nothing_is_made_up() -> None:
    told = estimate(GIB, _shape("Falcon 7B"))
    assert told.kv_cache_bytes is None
    assert told.missing == ("the context length",)
    assert told.total_bytes == GIB + (told.overhead_bytes or 0)


def test_a_recurrent_model_needs_no_context_length() -> None:
    assert estimate(GIB, _shape("Mamba 2.8B")).kv_cache_bytes == 24_903_680


def test_an_encoder_has_no_cache_and_its_estimate_says_why() -> None:
    told = estimate(440 * MIB, _shape("BERT"))
    assert told.kv_cache_bytes == 0
    assert told.note == "an encoder reads its input at once: it keeps no KV cache"
    assert told.total_bytes == 440 * MIB + (told.overhead_bytes or 0)
    assert not told.at_least


def test_a_diffusion_model_takes_its_weights_and_at_least_the_smallest_buffer() -> None:
    shape = shape_from_config({"_class_name": "UNet2DConditionModel", "sample_size": 128})
    assert shape is not None
    told = estimate(5 * GIB, shape)
    assert (told.kv_cache_bytes, told.total_bytes, told.at_least) == (0, 5 * GIB + 64 * MIB, True)
    assert estimate(5 * GIB, without_cache("none")).kv_cache_bytes == 0


def test_an_estimate_refuses_a_cache_type_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="not a type of KV cache"):
        estimate(1, None, kv_type="int3")


# --- machines
# --------------------------------------------------------------------------------------------------

WORKSTATION = Machine("workstation", 64 * GIB, (Gpu("one", 24 * GIB), Gpu("two", 24 * GIB)))
LAPTOP = Machine("laptop", 16 * GIB)


@pytest.mark.parametrize(
    ("total", "machine", "verdict"),
    [
        (47 * GIB, WORKSTATION, "memory"),  # half a GiB of each GPU is kept
        (47 * GIB + 1, WORKSTATION, "offload"),
        (47 * GIB + 62 * GIB, WORKSTATION, "offload"),  # two GiB of the RAM are kept
        (47 * GIB + 62 * GIB + 1, WORKSTATION, "no"),
        (14 * GIB, LAPTOP, "memory"),
        (14 * GIB + 1, LAPTOP, "no"),
        (3 * GIB, Machine("small", 4 * GIB), "memory"),  # a quarter of a small machine is kept
        (3 * GIB + 1, Machine("small", 4 * GIB), "no"),
        (20 * GIB, Machine("old card", 32 * GIB, (Gpu("old", 2 * GIB),)), "offload"),
        (0, Machine("nothing", 0), "memory"),
    ],
)
def test_a_model_fits_in_memory_with_offload_or_not(
    total: int, machine: Machine, verdict: str
) -> None:
    assert fits(total, machine) == verdict


def test_named_machines_are_read_from_a_config() -> None:
    machines = Machines.model_validate(
        {"server": {"ram_gb": 256, "gpus_gb": [80, 80]}, "laptop": {"ram_gb": 15.5}}
    )
    assert machines.names == ("server", "laptop")
    server = machines.machine("server")
    assert server is not None
    assert (server.ram_bytes, [gpu.total_bytes for gpu in server.gpus]) == (
        256 * GIB,
        [80 * GIB, 80 * GIB],
    )
    laptop = machines.machine("laptop")
    assert laptop is not None
    assert (laptop.ram_bytes, laptop.gpus) == (int(15.5 * GIB), ())
    assert machines.machine("other") is None
    assert Machines().names == ()


@pytest.mark.parametrize(
    ("config", "where"),
    [
        ({"server": {"ram_gb": 0}}, ("server", "ram_gb")),
        ({"server": {"ram_gb": float("inf")}}, ("server", "ram_gb")),
        ({"server": {}}, ("server", "ram_gb")),
        ({"server": {"ram_gb": 8, "gpus_gb": [24, -1]}}, ("server", "gpus_gb", 1)),
        ({"server": {"ram_gb": 8, "gpu": 24}}, ("server", "gpu")),
        ({"": {"ram_gb": 8}}, ("", "[key]")),
        ({f"machine {i}": {"ram_gb": 8} for i in range(101)}, ()),
        ([], ()),
    ],
)
def test_a_wrong_machine_is_refused_with_its_place(
    config: Any, where: tuple[str | int, ...]
) -> None:
    with pytest.raises(ValidationError) as caught:
        Machines.model_validate(config)
    assert caught.value.errors()[0]["loc"] == where


# --- bad input
# --------------------------------------------------------------------------------------------------

_CONFIG_KEYS = sorted({key for known in KNOWN for key in known.config or {}} | {
    "text_config", "llm_config", "decoder", "attn_config", "block_configs", "block_types",
    "attn_type_list", "linear_attn_config", "no_rope_layers",
    "hybrid_layer_pattern", "sliding_window_pattern", "num_kv_shared_layers",
    "cross_attention_layers", "attn_layer_indices", "lru_width",
    "global_head_dim", "num_key_value_heads_per_layer", "is_decoder", "_class_name",
    "attn_layer_idx", "index_head_dim", "rope_scaling",
    "block_ffn_dim_multiplier",
})  # fmt: skip
_GGUF_KEYS = sorted({key.partition(".")[2] for known in KNOWN for key in known.gguf or {}} | {
    "kda.head_dim", "token_shift_count", "attention.recurrent_layers", "attention.shared_kv_layers",
    "attention.causal", "vocab_size",
})  # fmt: skip
_WORDS = sorted(
    {str((known.config or {}).get("model_type")) for known in KNOWN}
    | {"mamba", "full_attention", "sliding_attention", "LG", "M*-"}
)
_JUNK = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 200)
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(_WORDS),
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.dictionaries(st.sampled_from(_CONFIG_KEYS), inner, max_size=6)
    ),
    max_leaves=20,
)


def _answers(shape: AttentionShape | None) -> None:
    """Whatever was read can be stored and computed with."""
    for context in (None, 4096):
        told = estimate(1, shape, context=context, kv_type="q8_0")
        assert told.total_bytes is not None
        assert told.total_bytes >= 1
    if shape is not None:
        assert AttentionShape.from_json(json.loads(json.dumps(shape.to_json()))) == shape


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(_CONFIG_KEYS) | st.text(max_size=5), _JUNK, max_size=14))
def test_a_junk_config_never_crashes(config: dict[str, Any]) -> None:
    _answers(shape_from_config(config))


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([known for known in KNOWN if known.config]),
    st.dictionaries(st.sampled_from(_CONFIG_KEYS), _JUNK, max_size=4),
)
def test_a_good_config_with_a_few_junk_values_never_crashes(
    known: Known, junk: dict[str, Any]
) -> None:
    _answers(shape_from_config((known.config or {}) | junk))


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from([known for known in KNOWN if known.gguf]),
    st.dictionaries(st.sampled_from(_GGUF_KEYS), _JUNK | st.just(Array(9)), max_size=4),
)
def test_a_gguf_header_with_a_few_junk_values_never_crashes(
    known: Known, junk: dict[str, Any]
) -> None:
    metadata = known.gguf or {}
    _answers(
        shape_from_gguf(
            metadata
            | {f"{metadata['general.architecture']}.{key}": value for key, value in junk.items()}
        )
    )


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"general.architecture": 7},
        {"general.architecture": "llama"},
        header("llama", block_count=1 << 40),
    ],
)
def test_a_header_without_countable_layers_has_no_shape(metadata: dict[str, Any]) -> None:
    assert shape_from_gguf(metadata) is None


def test_lengths_that_no_machine_could_hold_give_no_figure() -> None:
    absurd = {
        "hidden_size": 1 << 31,
        "num_attention_heads": 1,
        "num_key_value_heads": 1 << 31,
        "max_position_embeddings": 1 << 30,
    }
    told = estimate(1, shape_from_config(LLAMA | absurd))
    assert told.kv_cache_bytes is None
    assert "plausible lengths of its layers" in told.missing
    shape = shape_from_config(
        {
            "model_type": "mamba",
            "hidden_size": 1 << 31,
            "num_hidden_layers": 4,
            "state_size": 1 << 31,
            "conv_kernel": 4,
            "expand": 2,
        }
    )
    assert shape is not None
    assert shape.groups == ()
    assert shape.missing == ("the size of the state of its recurrent layers",)
    header_of_it = header(
        "mamba",
        block_count=4,
        embedding_length=1 << 31,
        ssm__conv_kernel=4,
        ssm__inner_size=1 << 31,
        ssm__state_size=1 << 31,
    )
    shape = shape_from_gguf(header_of_it)
    assert shape is not None
    assert shape.missing == ("the size of the state of its recurrent layers",)


def test_a_config_with_a_billion_layers_has_no_shape() -> None:
    assert shape_from_config(LLAMA | {"num_hidden_layers": 1_000_000_000}) is None


@pytest.mark.parametrize(
    "stored",
    [
        {}, {"groups": 7}, {"groups": [7]}, {"groups": [{}]}, {"groups": [{"kind": "round"}]},
        {"groups": [{"kind": ["full"]}]},
        {"groups": [{"kind": "full", "layers": -1}]},
        {"groups": [{"kind": "full", "kv_heads": "8"}]}, {"groups": [], "note": 7},
        {"groups": [], "max_context": True}, {"groups": [], "vocab_size": 1.5},
        {"groups": [], "layer_count": 1 << 70},
    ],
)  # fmt: skip
def test_a_stored_shape_that_is_none_is_refused(stored: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"needed|not a kind"):
        AttentionShape.from_json(stored)
