"""Write the small files of a model: config.json by family, generation and tokenizer files."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from discovery.demo.writers.shapes import Sizes
from discovery.demo.writers.sparse import write_json, write_text

#: Of the words of a tokenizer.json.
KEPT_WORDS = 1_000
TORCH_DTYPES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}

#: family: (class, model_type, what its activation is called and is)
_CLASSES = {
    "llama": ("LlamaForCausalLM", "llama"), "mistral": ("MistralForCausalLM", "mistral"),
    "mixtral": ("MixtralForCausalLM", "mixtral"),
    "bert": ("BertModel", "bert"), "vit": ("ViTForImageClassification", "vit"),
    "whisper": ("WhisperForConditionalGeneration", "whisper"),
    "wav2vec2": ("Wav2Vec2ForCTC", "wav2vec2"), "clip": ("CLIPModel", "clip"),
    "llava": ("LlavaForConditionalGeneration", "llava"),
    "biogpt": ("BioGptForCausalLM", "biogpt"),
    "gpt_bigcode": ("GPTBigCodeForCausalLM", "gpt_bigcode"),
}  # fmt: skip

TEXT_FAMILIES = frozenset(_CLASSES) - {"vit", "wav2vec2"}
GENERATIVE_FAMILIES = frozenset(
    {"llama", "mistral", "mixtral", "whisper", "llava", "biogpt", "gpt_bigcode"}
)


def config(family: str, sizes: Sizes, dtype: str) -> dict[str, Any]:
    architecture, model_type = _CLASSES[family]
    head = {"architectures": [architecture], "model_type": model_type}
    return (
        head
        | _BODIES.get(family, _llama)(sizes)
        | {
            "torch_dtype": TORCH_DTYPES[dtype],
            "transformers_version": "4.44.2",
        }
    )


def _llama(sizes: Sizes) -> dict[str, Any]:
    body = {
        "bos_token_id": 1,
        "eos_token_id": 2,
        "hidden_act": "silu",
        "hidden_size": sizes.hidden,
        "intermediate_size": sizes.feed_forward,
        "max_position_embeddings": sizes.context,
        "num_attention_heads": sizes.attention_heads,
        "num_hidden_layers": sizes.layers,
        "num_key_value_heads": sizes.kv_heads or sizes.attention_heads,
        "rms_norm_eps": 1e-05,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "vocab_size": sizes.vocab,
    }
    return body | (
        {"num_local_experts": sizes.experts, "num_experts_per_tok": 2, "rope_theta": 1000000.0}
        if sizes.experts
        else {}
    )


def _bert(sizes: Sizes) -> dict[str, Any]:
    return {
        "hidden_act": "gelu",
        "hidden_size": sizes.hidden,
        "intermediate_size": sizes.feed_forward,
        "layer_norm_eps": 1e-12,
        "max_position_embeddings": sizes.context,
        "num_attention_heads": sizes.attention_heads,
        "num_hidden_layers": sizes.layers,
        "pad_token_id": 0,
        "type_vocab_size": 2,
        "vocab_size": sizes.vocab,
    }


def _vit(sizes: Sizes) -> dict[str, Any]:
    labels = {str(number): f"LABEL_{number}" for number in range(sizes.vocab)}
    return {
        "hidden_size": sizes.hidden,
        "id2label": labels,
        "image_size": 224,
        "intermediate_size": sizes.feed_forward,
        "label2id": {label: int(number) for number, label in labels.items()},
        "num_attention_heads": sizes.attention_heads,
        "num_channels": 3,
        "num_hidden_layers": sizes.layers,
        "patch_size": 16,
    }


def _whisper(sizes: Sizes) -> dict[str, Any]:
    return {
        "d_model": sizes.hidden,
        "decoder_attention_heads": sizes.attention_heads,
        "decoder_ffn_dim": sizes.feed_forward,
        "decoder_layers": sizes.layers,
        "decoder_start_token_id": 50258,
        "encoder_attention_heads": sizes.attention_heads,
        "encoder_ffn_dim": sizes.feed_forward,
        "encoder_layers": sizes.layers,
        "is_encoder_decoder": True,
        "max_source_positions": 1500,
        "max_target_positions": 448,
        "num_hidden_layers": sizes.layers,
        "num_mel_bins": sizes.mels,
        "vocab_size": sizes.vocab,
    }


def _wav2vec2(sizes: Sizes) -> dict[str, Any]:
    return {
        "conv_dim": [512] * 7,
        "conv_kernel": [10, 3, 3, 3, 3, 2, 2],
        "conv_stride": [5, 2, 2, 2, 2, 2, 2],
        "feat_extract_norm": "group",
        "hidden_size": sizes.hidden,
        "intermediate_size": sizes.feed_forward,
        "num_attention_heads": sizes.attention_heads,
        "num_hidden_layers": sizes.layers,
        "vocab_size": sizes.vocab,
    }


def _clip_tower(layers: int, hidden: int, **more: int) -> dict[str, Any]:
    sizes = {
        "hidden_size": hidden,
        "intermediate_size": 4 * hidden,
        "num_attention_heads": max(hidden // 64, 1),
        "num_hidden_layers": layers,
    }
    return sizes | more


def _clip(sizes: Sizes) -> dict[str, Any]:
    text = _clip_tower(
        sizes.layers, sizes.hidden, vocab_size=sizes.vocab, max_position_embeddings=sizes.context
    )
    vision = _clip_tower(2 * sizes.layers, sizes.hidden * 4 // 3, image_size=224, patch_size=14)
    return {
        "logit_scale_init_value": 2.6592,
        "projection_dim": sizes.hidden,
        "text_config": {"model_type": "clip_text_model"} | text,
        "vision_config": {"model_type": "clip_vision_model"} | vision,
    }


def _llava(sizes: Sizes) -> dict[str, Any]:
    vision = _clip_tower(
        sizes.layers * 3 // 4, max(sizes.hidden // 4, 16), image_size=336, patch_size=14
    )
    return {
        "image_token_index": 32000,
        "projector_hidden_act": "gelu",
        "text_config": (
            {"architectures": ["LlamaForCausalLM"], "model_type": "llama"} | _llama(sizes)
        ),
        "vision_config": {"model_type": "clip_vision_model"} | vision,
        "vision_feature_layer": -2,
    }


def _gpt_bigcode(sizes: Sizes) -> dict[str, Any]:
    return {
        "activation_function": "gelu_pytorch_tanh",
        "bos_token_id": 0,
        "eos_token_id": 0,
        "multi_query": True,
        "n_embd": sizes.hidden,
        "n_head": sizes.attention_heads,
        "n_inner": sizes.feed_forward,
        "n_layer": sizes.layers,
        "n_positions": sizes.context,
        "vocab_size": sizes.vocab,
    }


_BODIES = {
    "bert": _bert, "biogpt": _bert, "vit": _vit, "whisper": _whisper, "wav2vec2": _wav2vec2,
    "clip": _clip, "llava": _llava,
    "gpt_bigcode": _gpt_bigcode,
}  # fmt: skip

_CHAT_TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'user' %}{{ '[INST] ' +"
    " message['content'] + ' [/INST]' }}{% else %}{{ ' ' + message['content'] + ' </s>' }}{% endif"
    " %}{% endfor %}"
)


def write_generation_config(folder: Path) -> None:
    write_json(
        folder / "generation_config.json",
        {
            "bos_token_id": 1,
            "eos_token_id": 2,
            "max_new_tokens": 512,
            "temperature": 0.7,
            "top_p": 0.9,
        },
    )


def write_tokenizer(
    folder: Path,
    vocab: int,
    context: int,
    *,
    tokenizer_class: str = "LlamaTokenizer",
    chat: bool = False,
) -> None:
    """Write the files of a tokenizer with ``vocab`` made-up words.

    These are tokenizer.json, tokenizer_config.json and special_tokens_map.json.
    """
    special = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    template = {"chat_template": _CHAT_TEMPLATE} if chat else {}
    write_json(
        folder / "tokenizer_config.json",
        {"tokenizer_class": tokenizer_class, "model_max_length": context} | special | template,
    )
    write_json(folder / "special_tokens_map.json", special)
    write_text(folder / "tokenizer.json", _tokenizer_json(vocab))


@lru_cache(maxsize=8)
def _tokenizer_json(vocab: int) -> str:
    """Return a tokenizer.json with only the first words and the last.

    That is enough to tell the size, which is one more than the highest number.
    """
    special = ("<unk>", "<s>", "</s>")
    numbers = sorted({*range(len(special), min(vocab, KEPT_WORDS)), vocab - 1})
    words = {word: number for number, word in enumerate(special)} | {
        f"w{number}": number for number in numbers
    }
    added = [
        {"id": number, "content": token, "special": True} for number, token in enumerate(special)
    ]
    model = {"type": "BPE", "unk_token": "<unk>", "vocab": words, "merges": []}
    return json.dumps(
        {"version": "1.0", "added_tokens": added, "model": model}, separators=(",", ":")
    )


def write_preprocessor(folder: Path, family: str, sizes: Sizes) -> None:
    """preprocessor_config.json for models that see or hear; nothing for the others."""
    picture = {
        "do_normalize": True,
        "do_resize": True,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
    }
    sound = {"feature_size": 1, "padding_value": 0.0, "sampling_rate": 16000}
    document: dict[str, Any] | None = {
        "vit": (
            {"image_processor_type": "ViTImageProcessor", "size": {"height": 224, "width": 224}}
            | picture
        ),
        "clip": (
            {
                "image_processor_type": "CLIPImageProcessor",
                "crop_size": {"height": 224, "width": 224},
            }
            | picture
        ),
        "llava": (
            {
                "image_processor_type": "CLIPImageProcessor",
                "processor_class": "LlavaProcessor",
                "crop_size": {"height": 336, "width": 336},
            }
            | picture
        ),
        "whisper": (
            sound
            | {
                "feature_extractor_type": "WhisperFeatureExtractor",
                "feature_size": sizes.mels,
                "processor_class": "WhisperProcessor",
            }
        ),
        "wav2vec2": (
            sound | {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "do_normalize": True}
        ),
    }.get(family)
    if document is not None:
        write_json(folder / "preprocessor_config.json", document)
