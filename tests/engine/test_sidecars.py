"""The files beside the weights: configs in all their spellings, tokenizers, cards,
metadata.json.
"""

from __future__ import annotations

import json

import pytest

from discovery.engine.sidecars import (
    card,
    json_file,
    lfs,
    metadata_json,
    model_config,
    tokenizer,
    weight_index,
)
from tests.support.timing import at_most


@pytest.mark.parametrize(
    ("config", "length"),
    [
        ({"max_position_embeddings": 4096}, 4096),
        ({"n_positions": 1024}, 1024),
        ({"seq_length": 8192}, 8192),
        ({"max_target_positions": 448, "max_source_positions": 1500}, 448),
        ({"text_config": {"max_position_embeddings": 131072}}, 131072),
        ({"llm_config": {"max_position_embeddings": 32768}}, 32768),
        ({"thinker_config": {"text_config": {"max_position_embeddings": 32768}}}, 32768),
        ({"model_type": "roberta", "max_position_embeddings": 514}, 512),
        ({"model_type": "bert", "max_position_embeddings": 512}, 512),
        (
            {"max_position_embeddings": 4096, "rope_scaling": {"type": "linear", "factor": 4.0}},
            16384,
        ),
        (
            {
                "max_position_embeddings": 131072,
                "rope_scaling": {"rope_type": "linear", "factor": 8.0},
            },
            131072,
        ),
        (
            {
                "max_position_embeddings": 32768,
                "rope_scaling": {
                    "type": "yarn",
                    "factor": 4.0,
                    "original_max_position_embeddings": 32768,
                },
            },
            131072,
        ),
        (
            {
                "max_position_embeddings": 131072,
                "rope_scaling": {"rope_type": "llama3", "factor": 8.0},
            },
            131072,
        ),
        ({"max_position_embeddings": -1}, None),
        ({"max_position_embeddings": 10**30}, None),
        ({"max_position_embeddings": True}, None),
        ({"max_position_embeddings": "4096"}, None),
        ({"rope_scaling": 5, "max_position_embeddings": 128}, 128),
    ],
)
def test_context_length_in_every_spelling(config: dict[str, object], length: int | None) -> None:
    assert model_config.fields(config).get("context_length") == length


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"quantization_config": {"quant_method": "gptq", "bits": 4}}, ("gptq", 4)),
        ({"quantization_config": {"load_in_4bit": True}}, ("bitsandbytes", 4)),
        ({"quantization": {"group_size": 64, "bits": 4}}, ("mlx", 4)),
        (
            {
                "quantization_config": {
                    "quant_method": "compressed-tensors",
                    "config_groups": {"g": {"weights": {"num_bits": 8}}},
                }
            },
            ("compressed-tensors", 8),
        ),
        ({"quantization_config": []}, (None, None)),
        ({}, (None, None)),
    ],
)
def test_declared_quantization(
    config: dict[str, object], expected: tuple[str | None, int | None]
) -> None:
    declared = model_config.quantization(config)
    assert (declared.method, declared.bits) == expected


@pytest.mark.parametrize(
    "config",
    [
        {
            "architectures": "BertModel",
            "vocab_size": "30522",
            "text_config": "x",
            "rope_scaling": 5,
        },
        {"architectures": [None, 5, {"a": 1}, ""], "model_type": ""},
        {"hidden_size": 10**18, "vocab_size": 2**63},
        {"model_type": ["bert"], "torch_dtype": {"x": 1}},
    ],
)
def test_junk_in_a_config_is_left_out_and_named(config: dict[str, object]) -> None:
    assert model_config.odd_fields(config)
    json.dumps(model_config.fields(config))


@pytest.mark.parametrize(
    ("config", "is_model"),
    [
        ({"port": 3000}, False),
        ({}, False),
        ({"model_type": "bert"}, True),
        ({"_class_name": "UNet"}, True),
    ],
)
def test_a_config_of_something_else_is_no_model(config: dict[str, object], is_model: bool) -> None:
    assert model_config.looks_like_model(config) is is_model


@pytest.mark.parametrize(
    ("raw", "data", "fault"),
    [
        (b'{"a": 1}', {"a": 1}, None),
        (b'\xef\xbb\xbf{"a": 1}', {"a": 1}, None),
        (b'{"a": 1}\n[http]', {"a": 1}, "text follows"),
        (b'{"a": 1,}', None, "not JSON"),
        (b"", None, "empty"),
        (b"<html>", None, "web page"),
        (b"[1]", None, "an array"),
        (b"null", None, "null"),
        ('{"a": 1}'.encode("utf-16"), {"a": 1}, "UTF-16"),
        (b'{"a": "Jos\xe9"}', {"a": "José"}, "not UTF-8"),
        (b'{"a":' + b"[" * 200_000, None, "nested too deep"),
        (b'{"a":' + b"9" * 5000 + b"}", None, "not usable"),
        (b"version https://git-lfs.github.com/spec/v1\n", None, "git-lfs pointer"),
        (b" " * (json_file.MAX_BYTES + 1), None, "more than"),
    ],
)
def test_json_is_read_leniently_and_told_strictly(
    raw: bytes, data: object, fault: str | None
) -> None:
    parsed = json_file.parse_object(raw)
    assert parsed.data == data
    assert (parsed.fault is None) if fault is None else fault in str(parsed.fault)


def test_vocabulary_is_counted_without_the_merges() -> None:
    document = {
        "added_tokens": [{"id": 5, "content": "<x>"}],
        "model": {
            "type": "BPE",
            "vocab": {"a": 0, "vocab": 1, "merges": 2},
            "merges": [["a", "b"]] * 1000,
        },
    }
    assert tokenizer.vocabulary_size(json.dumps(document).encode()) == 6
    assert (
        tokenizer.vocabulary_size(
            json.dumps({"model": {"vocab": [["a", 0.0], ["b", 0.0]]}}).encode()
        )
        == 2
    )
    assert tokenizer.vocabulary_size(b'{"model": {"vocab": {"a": ') is None
    assert tokenizer.vocabulary_size(b"") is None


@pytest.mark.parametrize(
    ("config", "length"),
    [
        ({"model_max_length": 4096}, 4096),
        ({"model_max_length": 1e30}, None),
        ({"model_max_length": 12}, None),
        ({}, None),
    ],
)
def test_placeholder_lengths_of_tokenizers_are_not_believed(
    config: dict[str, object], length: int | None
) -> None:
    assert tokenizer.fields(config).get("context_length") == length


def test_shards_outside_the_folder_are_told_apart() -> None:
    index = weight_index.read(
        {
            "metadata": {"total_size": 10.0},
            "weight_map": {"a": "../x", "b": "C:x", "c": "ok.safetensors", "d": 5},
        }
    )
    assert index is not None
    assert index.shards == ("ok.safetensors",)
    assert set(index.outside) == {"../x", "C:x"}
    assert index.total_size == 10
    assert weight_index.read({"weight_map": []}) is None


def test_lfs_pointers_are_recognized_and_nothing_else_is() -> None:
    pointer = lfs.read(
        b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"a" * 64 + b"\nsize 123\n"
    )
    assert pointer is not None
    assert pointer.size == 123
    assert (
        lfs.read(b"version https://git-lfs.github.com/spec/v1\noid sha256:short\nsize 1\n") is None
    )


CARD = b"""---
license: other
license_name: lfm1.0
language: no
version: 1.10
tags: [chat, on, null, 0x1F]
base_model: org/base
---
![badge](https://example.org/x.png)
<div align="center"><img src="x.png"/></div>

[Paper](https://example.org) | [Code](https://example.org)

# The **Title**

This model [talks](https://example.org) about *nothing* in particular, at length.

## Intended uses
- Chatting
- Writing letters
"""


def test_a_card_gives_front_matter_title_and_the_first_paragraph_of_prose() -> None:
    read = card.read(CARD)
    assert read.title == "The Title"
    assert read.fields["description"] == "This model talks about nothing in particular, at length."
    assert read.fields["license"] == "lfm1.0"
    assert read.fields["language_support"] == ["no"]
    assert read.fields["version"] == "1.10"
    assert read.fields["tags"] == ["chat", "on", "0x1F"]
    assert read.fields["base_model"] == "org/base"
    assert read.fields["use_cases"] == ["Chatting", "Writing letters"]
    assert not read.faults


@pytest.mark.parametrize("prefix", [b"", b"\xef\xbb\xbf", b"\n", b"![badge](x.png)\n\n"])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_front_matter_is_found_where_it_really_stands(prefix: bytes, newline: bytes) -> None:
    raw = prefix + b"---\nlicense: mit\n---\n# x\n".replace(b"\n", newline)
    assert card.read(raw).fields["license"] == "mit"


@pytest.mark.parametrize(
    ("raw", "fault", "license_name"),
    [
        (
            b"---\nlicense: apache-2.0\ndescription: Foo: bar: baz\n---\n",
            "not valid YAML",
            "apache-2.0",
        ),
        (b"---\ntags:\n\t- a\nlicense: mit\n---\n", "not valid YAML", "mit"),
        (b"---\njust a string\n---\n", "not a mapping", None),
        (b"---\nlicense: {a: 1}\n---\n", "license", None),
        (b"---\nlicense: mit\ntags:\n- a\n\n# never closed\n", "never closed", None),
        (b"---\nx: " + b"[" * 20_000 + b"]" * 20_000 + b"\n---\n", "too deep", None),
        (b"---\ntags:\n" + b"- tag\n" * 100_000 + b"---\n", "not read", None),
        (
            b'---\nx: !!python/object/apply:os.system ["true"]\nlicense: mit\n---\n',
            "Python object",
            "mit",
        ),
    ],
)
def test_broken_front_matter_is_told_and_what_can_be_read_is_used(
    raw: bytes, fault: str, license_name: str | None
) -> None:
    with at_most(loops=20):
        read = card.read(raw)
    assert fault in " ".join(read.faults)
    assert read.fields.get("license") == license_name


@pytest.mark.parametrize(
    "text",
    [
        "[" * 50_000,
        "> " * 20_000 + "x",
        "*a_ " * 30_000,
        "<a " * 30_000,
        "\n".join("  " * i + "- x" for i in range(800)),
        "a" * 900_000,
    ],
)
def test_hostile_prose_takes_no_time(text: str) -> None:
    with at_most(loops=20):
        card.read(text.encode())


def test_a_yaml_bomb_is_read_without_exploding() -> None:
    bomb = "---\na: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [{','.join('*' + chr(97 + i) for _ in range(9))}]\n"
        for i in range(9)
    )
    assert card.read((bomb + "tags: *j\nlicense: mit\n---\n").encode()).fields["license"] == "mit"


def test_metadata_json_keeps_what_it_does_not_know_under_custom() -> None:
    fields, complaints = metadata_json.fields(
        {
            "tags": ["a", "a"],
            "modalities": ["text"],
            "shelf": 3,
            "custom": {"x": 1},
            "context_length": "4k",
            "id": 1,
        }
    )
    assert fields == {"tags": ["a"], "modalities": ["TEXT"], "custom": {"x": 1, "shelf": 3}}
    assert len(complaints) == 2
