"""What a folder turns out to be: the guide's traps, stores, variants, broken files and their
neighbours.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from discovery.engine.core.types import Found
from discovery.engine.core.vocabulary import Status
from tests.support import builders

Read = Callable[..., dict[str, Found]]


def value(found: Found, field: str) -> object:
    return found.values[field].value if field in found.values else None


def test_a_transformers_folder_is_read_from_all_its_files(models_root: Path, read: Read) -> None:
    card = builders.DemoCard(
        "tiny-llama-chat",
        "A small model that talks about the weather all day long.",
        license="apache-2.0",
        tags=("chat", "weather"),
    )
    builders.transformers(models_root / "tiny-llama-chat", card=card, context=4096, vocab=1000)
    found = read(models_root)["tiny-llama-chat"]
    assert found.status is Status.READY
    assert value(found, "type") == "TRANSFORMERS"
    assert value(found, "format") == "safetensors"
    assert value(found, "architecture") == "LlamaForCausalLM"
    assert (value(found, "context_length"), value(found, "vocab_size"), value(found, "dtype")) == (
        4096,
        1000,
        "BF16",
    )
    assert found.values["license"] == ("apache-2.0", "README.md")
    assert found.values["parameter_count"].source == "tensors"
    assert found.values["context_length"].source == "config.json"
    assert not found.problems


def test_sources_win_in_their_order(models_root: Path, read: Read) -> None:
    folder = models_root / "model"
    builders.transformers(
        folder,
        card=builders.DemoCard(
            "Card title",
            "Prose of the card, which is long enough.",
            license="mit",
            tags=("from-card",),
        ),
    )
    builders.write_json(
        folder / "metadata.json",
        {"license": "custom", "display_name": "Mine", "context_length": 77, "house_rule": {"a": 1}},
    )
    found = read(models_root)["model"]
    assert found.values["license"] == ("custom", "metadata.json")
    assert found.values["context_length"] == (77, "metadata.json")
    assert found.values["tags"] == (["from-card"], "README.md")
    assert found.values["custom"].value["house_rule"] == {"a": 1}


def test_one_gguf_beside_transformers_folders_hides_none_of_them(
    models_root: Path, read: Read
) -> None:
    builders.transformers(models_root / "one")
    builders.transformers(models_root / "two")
    builders.gguf_model(
        models_root / "loose.Q4_0.gguf", "loose", builders.Sizes(hidden=256), "Q4_0"
    )
    assert set(read(models_root)) == {"one", "two", "loose.Q4_0.gguf"}


def test_quantizations_of_one_gguf_are_variants_of_one_model(models_root: Path, read: Read) -> None:
    builders.gguf_folder(
        models_root / "mistral-7b-GGUF", stem="mistral-7b", quantizations=("Q2_K", "Q4_K_M", "Q8_0")
    )
    found = read(models_root)
    assert set(found) == {"mistral-7b-GGUF"}
    assert [variant.name for variant in found["mistral-7b-GGUF"].variants] == [
        "Q8_0",
        "Q4_K_M",
        "Q2_K",
    ]


def test_the_first_variant_is_the_largest_that_fits_the_machine_else_the_smallest(
    models_root: Path, read: Read
) -> None:
    builders.gguf_folder(models_root / "m-GGUF", stem="m", quantizations=("Q2_K", "Q4_K_M", "Q8_0"))
    sizes = {v.name: v.size_bytes for v in read(models_root)["m-GGUF"].variants}
    fitting = read(models_root, memory_bytes=sizes["Q4_K_M"])["m-GGUF"].variants
    assert fitting[0].name == "Q4_K_M"
    assert read(models_root, memory_bytes=1)["m-GGUF"].variants[0].name == "Q2_K"


def test_two_unrelated_ggufs_in_one_folder_are_two_models(models_root: Path, read: Read) -> None:
    builders.gguf_model(
        models_root / "shelf" / "tiny-chat.Q4_K_M.gguf",
        "tiny chat",
        builders.Sizes(hidden=256, layers=2),
        "Q4_K_M",
    )
    builders.gguf_model(
        models_root / "shelf" / "coder.Q4_0.gguf",
        "coder",
        builders.Sizes(hidden=512, layers=4),
        "Q4_0",
    )
    assert set(read(models_root)) == {"shelf/tiny-chat.Q4_K_M.gguf", "shelf/coder.Q4_0.gguf"}


def test_the_header_decides_where_file_names_mislead(models_root: Path, read: Read) -> None:
    small, large = builders.Sizes(hidden=256, layers=2), builders.Sizes(hidden=512, layers=4)
    builders.gguf_model(models_root / "same-name" / "model-Q4_0.gguf", "One", small, "Q4_0")
    builders.gguf_model(models_root / "same-name" / "model-Q8_0.gguf", "Other", large, "Q8_0")
    builders.gguf_model(
        models_root / "other-names" / "ggml-model-Q4_0.gguf", "Phi Two", small, "Q4_0"
    )
    builders.gguf_model(models_root / "other-names" / "model-f16.gguf", "Phi Two", small, "F16")
    found = read(models_root)
    assert sorted(len(model.variants) for model in found.values()) == [1, 1, 2]


def test_a_projector_goes_to_the_model_of_its_embedding_length(
    models_root: Path, read: Read
) -> None:
    builders.gguf_model(
        models_root / "eyes" / "a-small.Q4_0.gguf", "small", builders.Sizes(hidden=256), "Q4_0"
    )
    builders.gguf_model(
        models_root / "eyes" / "b-large.Q4_0.gguf", "large", builders.Sizes(hidden=512), "Q4_0"
    )
    builders.mmproj(models_root / "eyes" / "mmproj-model-f16.gguf", 512)
    found = read(models_root)
    assert {path: len(model.files) for path, model in found.items()} == {
        "eyes/a-small.Q4_0.gguf": 1,
        "eyes/b-large.Q4_0.gguf": 2,
    }


def test_a_gguf_that_quantizes_the_folder_s_model_is_a_variant_and_a_stranger_is_not(
    models_root: Path, read: Read
) -> None:
    builders.transformers(models_root / "m", hidden=256, layers=2)
    builders.gguf_model(
        models_root / "m" / "m.Q4_0.gguf", "m", builders.Sizes(hidden=256, layers=2), "Q4_0"
    )
    builders.gguf_model(
        models_root / "m" / "stranger.Q4_0.gguf",
        "stranger",
        builders.Sizes(hidden=512, layers=4),
        "Q4_0",
    )
    found = read(models_root)
    assert set(found) == {"m", "m/stranger.Q4_0.gguf"}
    assert [variant.format for variant in found["m"].variants] == ["safetensors", "gguf"]


def test_a_hub_cache_repository_is_one_model_whose_revisions_are_variants(
    models_root: Path, read: Read
) -> None:
    builders.hub_cache(models_root / "hub", "org/embedder", revisions=2)
    found = read(models_root)["hub/models--org--embedder"]
    assert found.name == "org/embedder"
    assert len(found.variants) == 2
    assert "main" in found.variants[0].name
    on_disk = sum(
        path.stat().st_size
        for path in models_root.rglob("*")
        if path.is_file() and not path.is_symlink()
    )
    assert found.size_bytes == on_disk, "blobs that two revisions share are counted once"


def test_an_ollama_model_has_its_tags_as_variants_and_counts_shared_blobs_once(
    models_root: Path, read: Read
) -> None:
    builders.ollama_store(models_root / "ollama", "llama3.2", ("3b", "latest"))
    (found,) = read(models_root).values()
    assert found.name == "llama3.2"
    assert [variant.name for variant in found.variants] == ["3b, latest"]
    assert value(found, "format") == "gguf"


def test_adapters_are_told_by_their_config(models_root: Path, read: Read) -> None:
    builders.adapter(models_root / "lora")
    found = read(models_root)["lora"]
    assert value(found, "type") == "PEFT"
    assert value(found, "parameter_count") is None
    assert value(found, "base_model_relation") == "adapter"


@pytest.mark.parametrize("kind", ["gptq", "awq", "mlx"])
def test_packed_weights_count_unpacked(models_root: Path, read: Read, kind: str) -> None:
    sizes = builders.Sizes(layers=2, hidden=128, vocab=1000)
    getattr(builders, kind)(models_root / "packed", sizes=sizes)
    builders.transformers(
        models_root / "plain",
        layers=2,
        hidden=128,
        vocab=1000,
        tensors=_tied(sizes) if kind == "mlx" else None,
    )
    found = read(models_root)
    packed, plain = (
        value(found["packed"], "parameter_count"),
        value(found["plain"], "parameter_count"),
    )
    assert isinstance(packed, int)
    assert isinstance(plain, int)
    assert abs(packed - plain) < plain * 0.01
    assert value(found["packed"], "quantization") == f"{kind}-4bit"


def _tied(sizes: builders.Sizes) -> list[tuple[str, str, Sequence[int]]]:
    """Without the output layer that MLX's small models share with their embeddings."""
    return [tensor for tensor in builders.tensors("llama", sizes) if tensor[0] != "lm_head.weight"]


def test_a_leftover_quantization_config_is_not_believed_against_the_tensors(
    models_root: Path, read: Read
) -> None:
    builders.transformers(
        models_root / "merged",
        extra_config={
            "quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}
        },
    )
    assert value(read(models_root)["merged"], "quantization") is None


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("mistral-4bit", None),
        ("xlm-roberta-270m", None),
        ("deepseek-coder-6.7b", "deepseek-coder-6.7b"),
    ],
)
def test_no_parameter_count_is_read_from_a_name(
    models_root: Path, read: Read, name: str, shown: str | None
) -> None:
    builders.write_json(models_root / name / "config.json", {"model_type": "mistral"})
    found = read(models_root)[name]
    assert value(found, "parameter_count") is None
    assert found.name == name
    assert shown is None or found.name == shown


def test_a_loose_file_keeps_the_dots_of_its_name(models_root: Path, read: Read) -> None:
    builders.safetensors(models_root / "deepseek-coder-6.7b.safetensors", [("w", "F32", (2,))])
    assert read(models_root)["deepseek-coder-6.7b.safetensors"].name == "deepseek-coder-6.7b"


def test_a_config_with_a_trailing_comma_is_corrupt_and_says_where(
    models_root: Path, read: Read
) -> None:
    builders.transformers(models_root / "bad")
    text = (models_root / "bad" / "config.json").read_text()
    (models_root / "bad" / "config.json").write_text(
        text.rstrip().removesuffix("}").rstrip() + ",\n}"
    )
    found = read(models_root)["bad"]
    assert found.status is Status.CORRUPT
    (problem,) = found.problems
    assert problem.path == "bad/config.json"
    assert problem.offset is not None
    assert "line" in problem.message


def test_a_broken_config_alone_is_a_corrupt_model_when_it_speaks_of_one(
    models_root: Path, read: Read
) -> None:
    builders.write_text(models_root / "bert" / "config.json", '{"model_type": "bert",}')
    builders.write_text(models_root / "web" / "config.json", '{"port": 3000,}')
    assert {path: found.status for path, found in read(models_root).items()} == {
        "bert": Status.CORRUPT
    }


def test_missing_shards_make_it_incomplete_and_are_named(models_root: Path, read: Read) -> None:
    builders.transformers(models_root / "m", shards=3)
    (models_root / "m" / "model-00002-of-00003.safetensors").unlink()
    found = read(models_root)["m"]
    assert found.status is Status.INCOMPLETE
    assert "model-00002-of-00003.safetensors" in found.problems[0].message


def test_a_truncated_file_makes_it_incomplete_with_the_size_it_should_have(
    models_root: Path, read: Read
) -> None:
    builders.transformers(models_root / "m")
    path = models_root / "m" / "model.safetensors"
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size - 1)
    found = read(models_root)["m"]
    assert found.status is Status.INCOMPLETE
    assert found.problems[0].code == "truncated"
    assert found.problems[0].path == "m/model.safetensors"


def test_a_broken_header_makes_it_corrupt_and_hides_no_neighbour(
    models_root: Path, read: Read
) -> None:
    builders.transformers(models_root / "good")
    builders.transformers(models_root / "bad")
    (models_root / "bad" / "model.safetensors").write_bytes(b"<!DOCTYPE html><html>Access denied")
    found = read(models_root)
    assert found["good"].status is Status.READY
    assert found["bad"].status is Status.CORRUPT
    assert "web page" in found["bad"].problems[0].message


def test_lfs_pointers_are_absent_weights_whose_size_is_known(models_root: Path, read: Read) -> None:
    builders.write_json(
        models_root / "m" / "config.json", {"model_type": "bert", "torch_dtype": "float32"}
    )
    pointer = (
        "version https://git-lfs.github.com/spec/v1\noid sha256:" + "a" * 64 + "\nsize 400000000\n"
    )
    builders.write_text(models_root / "m" / "model.safetensors", pointer)
    found = read(models_root)["m"]
    assert found.status is Status.INCOMPLETE
    assert value(found, "format") == "safetensors"
    assert found.values["parameter_count"] == (100_000_000, "git-lfs pointers")


def test_a_model_without_weights_is_incomplete_and_says_so(models_root: Path, read: Read) -> None:
    builders.write_json(
        models_root / "m" / "config.json", {"model_type": "bert", "architectures": ["BertModel"]}
    )
    found = read(models_root)["m"]
    assert found.status is Status.INCOMPLETE
    assert value(found, "format") is None
    assert [problem.code for problem in found.problems] == ["weights_missing"]


def test_shard_names_that_leave_the_folder_are_never_followed(
    models_root: Path, read: Read
) -> None:
    index = {
        "weight_map": {
            "a": "../../etc/passwd",
            "b": "/etc/shadow",
            "c": "model-00001-of-00001.safetensors",
        }
    }
    builders.write_json(models_root / "m" / "model.safetensors.index.json", index)
    codes = {problem.code for problem in read(models_root)["m"].problems}
    assert codes >= {"index_outside", "shards_missing"}


def test_formats_that_are_not_supported_are_left_out(models_root: Path, read: Read) -> None:
    builders.transformers(models_root / "m")
    builders.gguf_folder(models_root / "g-GGUF", stem="g")
    assert set(read(models_root, supported_formats=["gguf"])) == {"g-GGUF"}


def test_wrong_types_in_metadata_json_are_said_and_ignored(models_root: Path, read: Read) -> None:
    builders.transformers(models_root / "m", card=False)
    builders.write_json(
        models_root / "m" / "metadata.json",
        {"tags": "chat", "resource_requirements": {"min_ram_gb": -8}, "path": "/etc", "version": 2},
    )
    found = read(models_root)["m"]
    assert found.values["version"] == ("2", "metadata.json")
    assert "tags" not in found.values
    assert sum(problem.code == "metadata_invalid" for problem in found.problems) == 3


def test_values_that_no_database_keeps_are_cleaned(models_root: Path, read: Read) -> None:
    builders.write_text(
        models_root / "m" / "config.json",
        '{"model_type":"bert","architectures":["A\\u0000\\ud800B"],'
        '"vocab_size":1e400,"hidden_size":10e30}',
    )
    found = read(models_root)["m"]
    assert value(found, "architecture") == "AB"
    assert value(found, "vocab_size") is None
    json.dumps(dict(found.values)).encode()


def test_a_moved_model_has_the_same_fingerprint_and_another_one_has_not(
    models_root: Path, read: Read
) -> None:
    builders.transformers(models_root / "a")
    builders.transformers(models_root / "b", hidden=128)
    before = read(models_root)
    (models_root / "a").rename(models_root / "c")
    after = read(models_root)
    assert after["c"].fingerprint == before["a"].fingerprint != before["b"].fingerprint
