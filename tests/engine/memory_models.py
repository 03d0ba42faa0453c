"""Well-known models and the bytes of their KV caches, computed by hand.

Every figure of a model is written down as its publisher has it in the file named in the comment
above it; the GGUF metadata are what llama.cpp's ``convert_hf_to_gguf.py`` makes of the same config.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Known:
    """``arithmetic`` is the sum by hand, ``bytes`` the number it comes to, at ``context`` tokens in
    f16.
    """

    name: str
    context: int
    arithmetic: int
    bytes: int
    config: dict[str, Any] | None = None
    gguf: dict[str, Any] | None = None


def header(architecture: str, **keys: Any) -> dict[str, Any]:
    """GGUF metadata; ``__`` stands for a dot."""
    return {"general.architecture": architecture} | {
        f"{architecture}.{key.replace('__', '.')}": value for key, value in keys.items()
    }


NEMOTRON_H = "M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M-"

KNOWN = [
    # huggingface.co/Qwen/Qwen3-235B-A22B config.json: head_dim is stated and not hidden_size /
    # heads (64).
    Known(
        "Qwen3-235B-A22B at 32k: 5.88 GiB",
        32768,
        94 * 4 * (128 + 128) * 32768 * 2,
        6_308_233_216,
        {
            "architectures": ["Qwen3MoeForCausalLM"], "model_type": "qwen3_moe",
            "hidden_size": 4096, "num_hidden_layers": 94,
            "num_attention_heads": 64, "num_key_value_heads": 4, "head_dim": 128,
            "intermediate_size": 12288, "moe_intermediate_size": 1536,
            "num_experts": 128, "num_experts_per_tok": 8, "max_position_embeddings": 40960,
            "max_window_layers": 94, "sliding_window": None,
            "use_sliding_window": False, "vocab_size": 151936,
        },
        header(
            "qwen3moe", block_count=94, context_length=40960, embedding_length=4096,
            feed_forward_length=12288, attention__head_count=64,
            attention__head_count_kv=4, attention__key_length=128, attention__value_length=128,
            expert_count=128, expert_used_count=8,
            expert_feed_forward_length=1536,
        ),
    ),
    # huggingface.co/google/gemma-3-27b-it config.json; five local layers, then a global one: 62
    # layers have 10 global ones.
    Known(
        "Gemma 3 27B at 128k",
        131072,
        16 * (128 + 128) * 2 * (10 * 131072 + 52 * 1024),
        11_173_625_856,
        {
            "architectures": ["Gemma3ForConditionalGeneration"], "model_type": "gemma3",
            "text_config": {
                "head_dim": 128, "hidden_size": 5376, "intermediate_size": 21504,
                "model_type": "gemma3_text", "num_attention_heads": 32,
                "num_hidden_layers": 62, "num_key_value_heads": 16,
                "rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024,
            },
            "vision_config": {"hidden_size": 1152, "num_hidden_layers": 27,
                "num_attention_heads": 16},
        },
        header(
            "gemma3", block_count=62, context_length=131072, embedding_length=5376,
            attention__head_count=32, attention__head_count_kv=16,
            attention__key_length=128, attention__value_length=128, attention__sliding_window=1024,
        ),
    ),
    # huggingface.co/google/gemma-2-9b config.json; every second layer is local, the first one too.
    Known(
        "Gemma 2 9B at 8k",
        8192,
        8 * (256 + 256) * 2 * (21 * 8192 + 21 * 4096),
        2_113_929_216,
        {
            "model_type": "gemma2", "hidden_size": 3584, "num_hidden_layers": 42,
            "num_attention_heads": 16, "num_key_value_heads": 8,
            "head_dim": 256, "sliding_window": 4096, "max_position_embeddings": 8192,
            "vocab_size": 256000, "intermediate_size": 14336,
        },
        header(
            "gemma2", block_count=42, context_length=8192, embedding_length=3584,
            attention__head_count=16, attention__head_count_kv=8,
            attention__key_length=256, attention__value_length=256, attention__sliding_window=4096,
        ),
    ),
    # huggingface.co/mistralai/Mistral-7B-v0.1 config.json: every layer looks back 4,096 tokens.
    Known(
        "Mistral 7B v0.1 at 32k",
        32768,
        32 * 8 * (128 + 128) * 4096 * 2,
        536_870_912,
        {
            "model_type": "mistral", "hidden_size": 4096, "num_hidden_layers": 32,
            "num_attention_heads": 32, "num_key_value_heads": 8,
            "sliding_window": 4096, "max_position_embeddings": 32768, "vocab_size": 32000,
            "intermediate_size": 14336,
        },
        header(
            "llama", block_count=32, context_length=32768, embedding_length=4096,
            attention__head_count=32, attention__head_count_kv=8,
            attention__sliding_window=4096, attention__sliding_window_pattern=[True] * 32,
        ),
    ),
    # huggingface.co/meta-llama/Llama-3.1-8B config.json.
    Known(
        "Llama 3.1 8B at 128k",
        131072,
        32 * 8 * (128 + 128) * 131072 * 2,
        17_179_869_184,
        {
            "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32,
            "num_attention_heads": 32, "num_key_value_heads": 8,
            "max_position_embeddings": 131072, "vocab_size": 128256, "intermediate_size": 14336,
        },
        header(
            "llama", block_count=32, context_length=131072, embedding_length=4096,
            attention__head_count=32, attention__head_count_kv=8,
            feed_forward_length=14336,
        ),
    ),
    # huggingface.co/meta-llama/Llama-2-7b-hf config.json: every head has keys and values of its
    # own.
    Known(
        "Llama 2 7B at 4k",
        4096,
        32 * 32 * (128 + 128) * 4096 * 2,
        2_147_483_648,
        {
            "model_type": "llama", "hidden_size": 4096, "num_hidden_layers": 32,
            "num_attention_heads": 32, "num_key_value_heads": 32,
            "max_position_embeddings": 4096, "vocab_size": 32000, "intermediate_size": 11008,
        },
        header("llama", block_count=32, context_length=4096, embedding_length=4096,
            attention__head_count=32),
    ),
    # huggingface.co/liuhaotian/llava-v1.5-7b, as llava-hf/llava-1.5-7b-hf config.json has it: the
    # rest is LlamaConfig's own.
    Known(
        "LLaVA 1.5 7B at 4k, whose config leaves the shape to its class",
        4096,
        32 * 32 * (128 + 128) * 4096 * 2,
        2_147_483_648,
        {
            "model_type": "llava",
            "text_config": {"model_type": "llama", "max_position_embeddings": 4096,
                "vocab_size": 32064},
            "vision_config": {"model_type": "clip_vision_model", "hidden_size": 1024,
                "num_hidden_layers": 24, "num_attention_heads": 16},
        },
    ),
    # huggingface.co/mistralai/Mixtral-8x7B-v0.1 config.json: experts have no cache of their own.
    Known(
        "Mixtral 8x7B at 32k",
        32768,
        32 * 8 * (128 + 128) * 32768 * 2,
        4_294_967_296,
        {
            "model_type": "mixtral", "hidden_size": 4096, "num_hidden_layers": 32,
            "num_attention_heads": 32, "num_key_value_heads": 8,
            "num_local_experts": 8, "num_experts_per_tok": 2, "sliding_window": None,
            "max_position_embeddings": 32768, "vocab_size": 32000,
            "intermediate_size": 14336,
        },
        header(
            "llama", block_count=32, context_length=32768, embedding_length=4096,
            attention__head_count=32, attention__head_count_kv=8,
            expert_count=8, expert_used_count=2, feed_forward_length=14336,
        ),
    ),
    # huggingface.co/deepseek-ai/DeepSeek-V3 config.json: 512 compressed values and a rotated key of
    # 64; arXiv 2405.04434, section 2.1.
    Known(
        "DeepSeek V3 at 32k",
        32768,
        61 * (512 + 64) * 32768 * 2,
        2_302_672_896,
        {
            "model_type": "deepseek_v3", "hidden_size": 7168, "num_hidden_layers": 61,
            "num_attention_heads": 128, "num_key_value_heads": 128,
            "kv_lora_rank": 512, "q_lora_rank": 1536, "qk_nope_head_dim": 128,
            "qk_rope_head_dim": 64, "v_head_dim": 128,
            "max_position_embeddings": 163840, "vocab_size": 129280, "intermediate_size": 18432,
            "moe_intermediate_size": 2048,
            "n_routed_experts": 256, "n_shared_experts": 1, "num_experts_per_tok": 8,
            "num_nextn_predict_layers": 1,
        },
        header(
            "deepseek2", block_count=61, context_length=163840, embedding_length=7168,
            attention__head_count=128, attention__head_count_kv=1,
            attention__key_length=576, attention__value_length=512, attention__key_length_mla=192,
            attention__value_length_mla=128,
            attention__kv_lora_rank=512, attention__q_lora_rank=1536, rope__dimension_count=64,
        ),
    ),
    # huggingface.co/tiiuae/falcon-7b config.json: 71 heads share one key and one value.
    Known(
        "Falcon 7B at 2k",
        2048,
        32 * 1 * (64 + 64) * 2048 * 2,
        16_777_216,
        {
            "model_type": "falcon", "hidden_size": 4544, "num_hidden_layers": 32,
            "num_attention_heads": 71, "multi_query": True,
            "new_decoder_architecture": False, "vocab_size": 65024,
        },
        header("falcon", block_count=32, context_length=2048, embedding_length=4544,
            attention__head_count=71, attention__head_count_kv=1),
    ),
    # huggingface.co/bigcode/starcoder config.json.
    Known(
        "StarCoder at 8k",
        8192,
        40 * 1 * (128 + 128) * 8192 * 2,
        167_772_160,
        {"model_type": "gpt_bigcode", "n_embd": 6144, "n_head": 48, "n_inner": 24576, "n_layer": 40,
            "n_positions": 8192, "multi_query": True},
        header("starcoder", block_count=40, context_length=8192, embedding_length=6144,
            attention__head_count=48, attention__head_count_kv=1),
    ),
    # huggingface.co/THUDM/chatglm3-6b config.json.
    Known(
        "ChatGLM3 6B at 8k",
        8192,
        28 * 2 * (128 + 128) * 8192 * 2,
        234_881_024,
        {
            "model_type": "chatglm", "hidden_size": 4096, "num_layers": 28,
            "num_attention_heads": 32, "kv_channels": 128,
            "multi_query_attention": True, "multi_query_group_num": 2, "seq_length": 8192,
            "padded_vocab_size": 65024, "ffn_hidden_size": 13696,
        },
    ),
    # huggingface.co/state-spaces/mamba-2.8b-hf config.json: nothing grows with the context.
    Known(
        "Mamba 2.8B, however long the context",
        1_000_000,
        64 * (3 * 5120 + 16 * 5120) * 4,
        24_903_680,
        {
            "model_type": "mamba", "hidden_size": 2560, "intermediate_size": 5120,
            "num_hidden_layers": 64, "state_size": 16, "conv_kernel": 4,
            "expand": 2, "vocab_size": 50280,
        },
        header(
            "mamba", block_count=64, context_length=1 << 20, embedding_length=2560,
            feed_forward_length=0, attention__head_count=0,
            ssm__conv_kernel=4, ssm__inner_size=5120, ssm__state_size=16, ssm__time_step_rank=160,
        ),
    ),
    # huggingface.co/state-spaces/mamba-2.8b config.json: the original code's own file.
    Known(
        "Mamba 2.8B by its first config",
        2048,
        64 * (3 * 5120 + 16 * 5120) * 4,
        24_903_680,
        {"d_model": 2560, "n_layer": 64, "vocab_size": 50277, "ssm_cfg": {}, "rms_norm": True,
            "fused_add_norm": True},
    ),
    # huggingface.co/mistralai/Mamba-Codestral-7B-v0.1 config.json.
    Known(
        "Mamba Codestral 7B",
        262144,
        64 * (3 * (8192 + 2 * 8 * 128) + 128 * 8192) * 4,
        276_299_776,
        {
            "model_type": "mamba2", "hidden_size": 4096, "num_hidden_layers": 64, "state_size": 128,
            "conv_kernel": 4, "expand": 2, "n_groups": 8,
            "num_heads": 128, "head_dim": 64, "vocab_size": 32768,
        },
        header(
            "mamba2", block_count=64, context_length=1 << 20, embedding_length=4096,
            attention__head_count=0, ssm__conv_kernel=4,
            ssm__inner_size=8192, ssm__state_size=128, ssm__time_step_rank=128, ssm__group_count=8,
        ),
    ),
    # huggingface.co/ai21labs/Jamba-v0.1 config.json: layers 4, 12, 20 and 28 attend, 28 others are
    # Mamba.
    Known(
        "Jamba v0.1 at 32k",
        32768,
        4 * 8 * (128 + 128) * 32768 * 2 + 28 * (3 * 8192 + 16 * 8192) * 4,
        554_303_488,
        {
            "model_type": "jamba", "hidden_size": 4096, "intermediate_size": 14336,
            "num_hidden_layers": 32, "num_attention_heads": 32,
            "num_key_value_heads": 8, "attn_layer_offset": 4, "attn_layer_period": 8,
            "mamba_d_conv": 4, "mamba_d_state": 16, "mamba_expand": 2,
            "num_experts": 16, "num_experts_per_tok": 2, "max_position_embeddings": 262144,
            "vocab_size": 65536,
        },
        header(
            "jamba", block_count=32, context_length=262144, embedding_length=4096,
            attention__head_count=32,
            attention__head_count_kv=[8 if i % 8 == 4 else 0 for i in range(32)],
            ssm__conv_kernel=4, ssm__inner_size=8192, ssm__state_size=16,
        ),
    ),
    # huggingface.co/nvidia/Nemotron-H-8B-Base-8K config.json: 24 Mamba layers, 4 that attend, 24
    # feed-forward.
    Known(
        "Nemotron-H 8B at 8k",
        8192,
        4 * 8 * (128 + 128) * 8192 * 2 + 24 * (3 * (8192 + 2 * 8 * 128) + 128 * 8192) * 4,
        237_830_144,
        {
            "model_type": "nemotron_h",
            "hybrid_override_pattern": "M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M-",
            "hidden_size": 4096,
            "num_hidden_layers": 52, "num_attention_heads": 32, "num_key_value_heads": 8,
            "attention_head_dim": 128, "ssm_state_size": 128,
            "mamba_num_heads": 128, "mamba_head_dim": 64, "n_groups": 8, "conv_kernel": 4,
            "expand": 2, "max_position_embeddings": 8192,
        },
        header(
            "nemotron_h", block_count=52, context_length=8192, embedding_length=4096,
            attention__head_count=32, attention__key_length=128,
            attention__value_length=128, ssm__conv_kernel=4, ssm__inner_size=8192,
            ssm__state_size=128, ssm__group_count=8,
            attention__head_count_kv=[8 if c == "*" else 0 for c in NEMOTRON_H],
            feed_forward_length=[21504 if c == "-" else 0 for c in NEMOTRON_H],
        ),
    ),
    # huggingface.co/LiquidAI/LFM2-1.2B config.json: ten short convolutions over three tokens, six
    # layers that attend.
    Known(
        "LFM2 1.2B at 32k",
        32768,
        6 * 8 * (64 + 64) * 32768 * 2 + 10 * 2048 * 2 * 4,
        402_817_024,
        {
            "model_type": "lfm2", "hidden_size": 2048, "num_hidden_layers": 16,
            "num_attention_heads": 32, "num_key_value_heads": 8,
            "full_attn_idxs": [2, 5, 8, 10, 12, 14], "conv_L_cache": 3, "block_ff_dim": 12288,
            "block_auto_adjust_ff_dim": True,
            "block_multiple_of": 256, "block_ffn_dim_multiplier": 1.0,
            "max_position_embeddings": 128000, "vocab_size": 65536,
        },
        header(
            "lfm2", block_count=16, context_length=128000, embedding_length=2048,
            attention__head_count=32, shortconv__l_cache=3,
            attention__head_count_kv=[8 if i in (2, 5, 8, 10, 12, 14) else 0 for i in range(16)],
        ),
    ),
    # huggingface.co/Qwen/Qwen3-Next-80B-A3B-Instruct config.json: three gated delta nets, then a
    # layer that attends.
    Known(
        "Qwen3-Next 80B at 256k",
        262144,
        12 * 2 * (256 + 256) * 262144 * 2 + 36 * (3 * (4096 + 2 * 16 * 128) + 128 * 4096) * 4,
        6_521_487_360,
        {
            "model_type": "qwen3_next", "hidden_size": 2048, "num_hidden_layers": 48,
            "num_attention_heads": 16, "num_key_value_heads": 2,
            "head_dim": 256, "full_attention_interval": 4, "linear_num_key_heads": 16,
            "linear_num_value_heads": 32, "linear_key_head_dim": 128,
            "linear_value_head_dim": 128, "linear_conv_kernel_dim": 4,
            "max_position_embeddings": 262144, "vocab_size": 151936,
        },
        header(
            "qwen3next", block_count=48, context_length=262144, embedding_length=2048,
            attention__head_count=16, attention__head_count_kv=2,
            attention__key_length=256, attention__value_length=256, full_attention_interval=4,
            ssm__conv_kernel=4, ssm__inner_size=4096,
            ssm__state_size=128, ssm__group_count=16, ssm__time_step_rank=32,
        ),
    ),
    # huggingface.co/openai/gpt-oss-20b config.json: every second layer looks back 128 tokens.
    Known(
        "gpt-oss 20B at 128k",
        131072,
        8 * (64 + 64) * 2 * (12 * 131072 + 12 * 128),
        3_224_371_200,
        {
            "model_type": "gpt_oss", "hidden_size": 2880, "num_hidden_layers": 24,
            "num_attention_heads": 64, "num_key_value_heads": 8,
            "head_dim": 64, "sliding_window": 128,
            "layer_types": ["sliding_attention", "full_attention"] * 12, "intermediate_size": 2880,
            "num_local_experts": 32, "num_experts_per_tok": 4, "max_position_embeddings": 131072,
            "vocab_size": 201088,
        },
        header(
            "gpt-oss", block_count=24, context_length=131072, embedding_length=2880,
            attention__head_count=64, attention__head_count_kv=8,
            attention__key_length=64, attention__value_length=64, attention__sliding_window=128,
        ),
    ),
    # huggingface.co/RWKV/v6-Finch-7B-HF config.json: two shifted tokens, and one matrix a head of
    # 64.
    Known(
        "RWKV 6 World 7B",
        4096,
        32 * (2 * 4096 + 4096 * 64) * 4,
        34_603_008,
        {"model_type": "rwkv6", "hidden_size": 4096, "num_hidden_layers": 32, "head_size": 64,
            "vocab_size": 65536},
        header("rwkv6", block_count=32, context_length=1 << 20, embedding_length=4096,
            attention__head_count=0, wkv__head_size=64),
    ),
    # huggingface.co/openai/whisper-large-v3 config.json: the decoder's own 448 tokens, and the
    # encoder's 1,500 frames in every layer.
    Known(
        "Whisper large v3",
        448,
        32 * 20 * (64 + 64) * 448 * 2 + 32 * 20 * (64 + 64) * 1500 * 2,
        319_160_320,
        {
            "model_type": "whisper", "is_encoder_decoder": True, "d_model": 1280,
            "num_hidden_layers": 32, "encoder_layers": 32,
            "decoder_layers": 32, "encoder_attention_heads": 20, "decoder_attention_heads": 20,
            "decoder_ffn_dim": 5120, "encoder_ffn_dim": 5120,
            "max_source_positions": 1500, "max_target_positions": 448, "num_mel_bins": 128,
            "vocab_size": 51866,
        },
    ),
    # huggingface.co/google-t5/t5-base config.json: as much of the input as of the output.
    Known(
        "T5 base at 512",
        512,
        2 * 12 * 12 * (64 + 64) * 512 * 2,
        37_748_736,
        {
            "model_type": "t5", "is_encoder_decoder": True, "d_model": 768, "d_kv": 64,
            "d_ff": 3072, "num_layers": 12, "num_heads": 12,
            "n_positions": 512, "vocab_size": 32128,
        },
        header(
            "t5", block_count=12, decoder_block_count=12, context_length=512, embedding_length=768,
            feed_forward_length=3072,
            attention__head_count=12, attention__key_length=64, attention__value_length=64,
        ),
    ),
    # huggingface.co/google-bert/bert-base-uncased config.json.
    Known(
        "BERT base keeps nothing",
        512,
        0,
        0,
        {
            "architectures": ["BertForMaskedLM"], "model_type": "bert", "hidden_size": 768,
            "num_hidden_layers": 12, "num_attention_heads": 12,
            "intermediate_size": 3072, "max_position_embeddings": 512, "vocab_size": 30522,
        },
        header("bert", block_count=12, context_length=512, embedding_length=768,
            feed_forward_length=3072, attention__head_count=12),
    ),
    # huggingface.co/google/vit-base-patch16-224 config.json.
    Known(
        "ViT base keeps nothing",
        197,
        0,
        0,
        {
            "model_type": "vit", "hidden_size": 768, "num_hidden_layers": 12,
            "num_attention_heads": 12, "intermediate_size": 3072, "image_size": 224,
            "patch_size": 16,
        },
    ),
]  # fmt: skip
