"""Names of files, ids, texts and counts: the small rules that the rest leans on."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.engine.core import names
from discovery.engine.core.packings import Declared
from discovery.engine.core.parameters import count_parameters
from discovery.engine.core.paths import to_native, to_text
from discovery.engine.core.text import clean, human_bytes, plural, storable
from discovery.engine.core.types import Tensor
from discovery.engine.identify.model_ids import RESERVED, new_id, slug
from discovery.engine.sidecars import model_shape


@pytest.mark.parametrize(
    ("name", "stem", "base", "quantization"),
    [
        (
            "mistral-7b-instruct-v0.2.Q4_K_M.gguf",
            "mistral-7b-instruct-v0.2.Q4_K_M",
            "mistral-7b-instruct-v0.2",
            "Q4_K_M",
        ),
        ("Qwen2-VL-7B-IQ3_XXS.gguf", "Qwen2-VL-7B-IQ3_XXS", "qwen2-vl-7b", "IQ3_XXS"),
        ("llama-UD-Q2_K_XL.gguf", "llama-UD-Q2_K_XL", "llama", "UD-Q2_K_XL"),
        ("model-f16.gguf", "model-f16", "model", "F16"),
        ("big-Q8_0-00001-of-00003.gguf", "big-Q8_0", "big", "Q8_0"),
        ("deepseek-coder-6.7b.safetensors", "deepseek-coder-6.7b", "deepseek-coder-6.7b", None),
        ("dream.fp16.safetensors", "dream.fp16", "dream", None),
        ("v1-5-pruned-emaonly.ckpt", "v1-5-pruned-emaonly", "v1-5", None),
    ],
)
def test_file_names_are_taken_apart(
    name: str, stem: str, base: str, quantization: str | None
) -> None:
    assert names.stem(name) == stem
    assert names.base_stem(name) == base
    if name.endswith(".gguf"):
        assert names.quantization(name) == quantization


@pytest.mark.parametrize(
    ("name", "shard"),
    [
        ("model-00001-of-00003.safetensors", ("model", 1, 3, ".safetensors")),
        ("model-00008-of-000008.safetensors", ("model", 8, 8, ".safetensors")),
        ("pytorch_model_00072-of-00072.bin", ("pytorch_model", 72, 72, ".bin")),
        ("consolidated.00.pth", ("consolidated", 0, None, ".pth")),
        ("model.safetensors", None),
    ],
)
def test_shards_are_numbered_in_every_spelling(name: str, shard: tuple[object, ...] | None) -> None:
    told = names.shard(name)
    assert (told and told[:4]) == shard


@pytest.mark.parametrize(
    "name",
    [
        "training_args.bin",
        "optimizer.pt",
        "rng_state_0.pth",
        "scheduler.pt",
        "tokenizer.bin",
        "notes.txt",
        "config.json",
    ],
)
def test_files_that_hold_no_weights_are_not_taken_for_weights(name: str) -> None:
    assert names.weight_format(name) is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Llama-2-7B-Chat", "llama-2-7b-chat"), ("deepseek-coder-6.7b", "deepseek-coder-6.7b"),
        ("日本語 モデル", "日本語-モデル"), ("<img src=x>", "img-src-x"),
        ("", "model"), ("...", "model")],
)  # fmt: skip
def test_slugs(name: str, expected: str) -> None:
    assert slug(name) == expected


def test_ids_are_lengthened_by_folders_then_numbered() -> None:
    taken: set[str] = set()
    for expected in ("m", "b-m", "a-b-m", "m-2", "m-3"):
        model_id = new_id("m", "a/b/m", taken.__contains__)
        taken.add(model_id)
        assert model_id == expected


@given(
    st.text(max_size=300),
    st.lists(st.sampled_from([*RESERVED, "a", "b", "ü", "\udcff"]), min_size=1, max_size=5),
)
def test_ids_are_always_usable(name: str, parts: list[str]) -> None:
    model_id = new_id(name, "/".join(parts), lambda _: False)
    assert model_id
    assert model_id not in RESERVED
    assert "/" not in model_id
    model_id.encode()


@given(
    st.binary(max_size=60).filter(
        lambda raw: b"\0" not in raw and b"/" not in raw and raw not in (b"", b".", b"..")
    )
)
def test_any_file_name_is_text_that_a_database_keeps(raw: bytes) -> None:
    import os

    text = to_text(os.fsdecode(raw))
    text.encode()
    assert to_text(text) == text


def test_a_path_that_is_not_utf8_is_found_again(tmp_path: object) -> None:
    import os

    raw = os.path.join(os.fsencode(str(tmp_path)), b"a\xff")
    with open(raw, "wb"):
        pass
    native = to_native(str(tmp_path), to_text(os.fsdecode(b"a\xff")))
    assert os.path.exists(native)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_anything_becomes_json_that_every_database_keeps(value: object) -> None:
    text = json.dumps(storable(value), allow_nan=False, ensure_ascii=False)
    assert "\\u0000" not in text
    text.encode()


def test_texts_lose_what_harms_and_keep_the_rest() -> None:
    assert clean("a\x00b\x1b[31m\u202egpj\ud800 é\n") == "ab[31mgpj é"
    assert storable({"a": math.nan, "b": 2**70, "c": [1, {"d": None}]}) == {
        "a": None,
        "b": None,
        "c": [1, {"d": None}],
    }


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1500, "1.5 kB"),
        (26_400_000_000, "26.4 GB"),
        (5 * 10**15, "5,000.0 TB"),
    ],
)
def test_sizes_read_as_people_write_them(size: int, text: str) -> None:
    assert human_bytes(size) == text


def test_plurals() -> None:
    assert [plural(n, "file") for n in (0, 1, 1200)] == ["0 files", "1 file", "1,200 files"]


def packed(name: str, dtype: str, shape: tuple[int, ...]) -> Tensor:
    return Tensor(name, dtype, shape, 0, 0)


@pytest.mark.parametrize(
    ("tensors", "bits", "count"),
    [
        ([packed("a.qweight", "I32", (16, 64)), packed("a.scales", "F16", (1, 64)),
                packed("a.g_idx", "I32", (128,))], 4, 128 * 64),
        ([packed("a.qweight", "I32", (128, 8)), packed("a.scales", "F16", (1, 64)),
                packed("a.qzeros", "I32", (1, 8))], None, 128 * 64),
        ([packed("a.weight", "U32", (64, 16)), packed("a.scales", "F16", (64, 2)),
                packed("a.biases", "F16", (64, 2))], 4, 64 * 128),
        ([packed("a.weight", "U32", (64, 16)), packed("a.scales", "F16", (64, 2)),
                packed("a.biases", "F16", (64, 2))], None, 64 * 128),
        ([packed("a.weight", "U8", (4096, 1)), packed("a.weight.absmax", "F32", (128,)),
                packed("a.weight.quant_state.bitsandbytes__nf4", "U8", (90,))], 4, 8192),
        ([packed("e.gate_up_proj_blocks", "U8", (2, 4, 3, 16)),
                packed("e.gate_up_proj_scales", "U8", (2, 4, 3))], None, 2 * 4 * 3 * 32),
        ([packed("a.weight", "I8", (64, 64)), packed("a.SCB", "F32", (64,))], 8, 4096),
        ([packed("a.weight", "F8_E4M3", (64, 64)), packed("a.weight_scale_inv", "F32", (1, 1))],
            None, 4096),
        ([packed("a.weight_packed", "I32", (64, 8)), packed("a.weight_scale", "BF16", (64, 1)),
                packed("a.weight_shape", "I64", (2,))], 4, 64 * 64),
        ([packed("w", "F32", (2, 3)), packed("s", "F32", ())], None, 7),
    ],
)  # fmt: skip
def test_packed_weights_are_counted_as_the_matrices_they_stand_for(
    tensors: list[Tensor], bits: int | None, count: int
) -> None:
    assert count_parameters(tensors, Declared(bits=bits)) == count


@pytest.mark.parametrize(
    ("config", "count"),
    [
        ({"model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32,
                "intermediate_size": 11008, "num_attention_heads": 32, "vocab_size": 32000},
                6_738_415_616),
        ({"model_type": "phi", "hidden_size": 2560, "num_hidden_layers": 32, "vocab_size": 51200},
            2_779_683_840),
        ({"model_type": "bert", "hidden_size": 768, "num_hidden_layers": 12,
                "intermediate_size": 3072, "vocab_size": 30522, "max_position_embeddings": 512,
                "type_vocab_size": 2}, 109_482_240),
        ({"model_type": "llama", "hidden_size": "4096"}, None),
        ({"model_type": "something-new", "hidden_size": 1}, None),
        ({"model_type": ["llama"]}, None),
    ],
)  # fmt: skip
def test_well_known_shapes_are_summed_exactly_and_others_are_not_guessed(
    config: dict[str, object], count: int | None
) -> None:
    assert model_shape.parameters(config) == count
