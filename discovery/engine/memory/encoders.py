"""Models that read their input in one go and keep nothing for a next token.

Source: the model classes of Transformers; llama.cpp's architectures with ``causal_attn = false``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from discovery.engine.memory.config_defaults import kind
from discovery.engine.sidecars.model_config import architecture

ENCODER = "an encoder reads its input at once: it keeps no KV cache"
DIFFUSION = "a diffusion model keeps no KV cache; its activations grow with the picture"

_TYPES = frozenset({
    # text
    "albert", "big_bird", "bert", "camembert", "canine", "convbert", "data2vec-text", "deberta",
    "deberta-v2", "distilbert", "electra",
    "ernie", "ernie_m", "esm", "eurobert", "flaubert", "fnet", "funnel", "gte", "ibert",
    "jina_bert", "layoutlm", "layoutlmv2", "layoutlmv3",
    "lilt", "longformer", "luke", "markuplm", "megatron-bert", "mobilebert", "modernbert", "mpnet",
    "mra", "neobert", "new", "nezha",
    "nomic_bert", "nystromformer", "rembert", "roberta", "roberta-prelayernorm", "roc_bert",
    "roformer", "splinter", "squeezebert",
    "t5encoder", "xlm", "xlm-roberta", "xlm-roberta-xl", "xmod", "yoso", "clip_text_model",
    "siglip_text_model",
    # pictures and video
    "align", "altclip", "beit", "bit", "chinese_clip", "clip", "clip_vision_model", "clipseg",
    "conditional_detr", "convnext", "convnextv2",
    "cvt", "data2vec-vision", "deformable_detr", "deit", "depth_anything", "detr", "dinat",
    "dinov2", "dinov2_with_registers", "dinov3_vit",
    "donut-swin", "dpt", "efficientnet", "focalnet", "glpn", "grounding-dino", "hiera", "ijepa",
    "levit", "mask2former", "maskformer",
    "mobilenet_v1", "mobilenet_v2", "mobilevit", "mobilevitv2", "owlv2", "owlvit", "poolformer",
    "pvt", "pvt_v2", "regnet", "resnet",
    "rt_detr", "rt_detr_v2", "sam", "sam2", "segformer", "siglip", "siglip2", "siglip_vision_model",
    "siglip2_vision_model", "swin",
    "swin2sr", "swinv2", "table-transformer", "timesformer", "timm_backbone", "timm_wrapper",
    "upernet", "van", "videomae", "vilt", "vit",
    "vit_mae", "vit_msn", "vitdet", "vitmatte", "vitpose", "vivit", "vjepa2", "xclip", "yolos",
    "zoedepth",
    # sound
    "audio-spectrogram-transformer", "clap", "dac", "data2vec-audio", "encodec", "hubert", "mctct",
    "mimi", "sew", "sew-d", "snac",
    "unispeech", "unispeech-sat", "univnet", "vits", "wav2vec2", "wav2vec2-bert",
    "wav2vec2-conformer", "wavlm",
    # time series
    "informer", "patchtst", "patchtsmixer",
})  # fmt: skip

#: Architectures whose class only encodes, whatever the type.
_CLASSES = (
    "EncoderModel", "ForMaskedLM", "ForImageClassification", "ForObjectDetection",
    "ForSemanticSegmentation", "ForDepthEstimation", "ForCTC",
    "ForAudioClassification", "ForVideoClassification", "ForImageSegmentation",
)  # fmt: skip

_SENSES = ("image_size", "patch_size", "num_mel_bins", "conv_dim", "num_channels", "in_chans")


def encoder_note(config: Mapping[str, Any]) -> str | None:
    """Why the model keeps no cache; ``None`` when it may keep one."""
    if config.get("is_decoder") is True:
        return None
    if isinstance(config.get("_class_name"), str) and not kind(config):
        return DIFFUSION
    if kind(config) in _TYPES or (architecture(config) or "").endswith(_CLASSES):
        return ENCODER
    looks = any(key in config for key in _SENSES)
    speaks = any(
        key in config
        for key in (
            "vocab_size",
            "decoder",
            "text_config",
            "llm_config",
            "language_config",
            "lm_config",
            "thinker_config",
        )
    )
    return ENCODER if looks and not speaks else None
