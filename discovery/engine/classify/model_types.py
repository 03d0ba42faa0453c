"""The inputs and outputs of Transformers' model types.

Source: the ``modeling_*.py`` files of https://github.com/huggingface/transformers.
"""

from __future__ import annotations

#: Model types by what they take and give. ``>`` separates in from out; several types share a line.
_BY_TYPE = {
    "IMAGE>": (
        "vit deit swin swinv2 beit convnext convnextv2 resnet dinov2 dinov3 efficientnet"
        " mobilenet_v1 mobilenet_v2 mobilevit poolformer regnet bit cvt levit van focalnet pvt"
        " pvt_v2 hiera timm_wrapper segformer upernet maskformer mask2former oneformer detr"
        " conditional_detr deformable_detr rt_detr rt_detr_v2 yolos table-transformer dpt"
        " depth_anything glpn zoedepth sam sam2 vitmatte birefnet superpoint vit_mae ijepa"
        " data2vec-vision"
    ),
    "IMAGE>IMAGE": "swin2sr vitdet",
    "VIDEO>": "videomae timesformer vivit vjepa2",
    "IMAGE>TEXT": "vision-encoder-decoder trocr donut-swin git blip pix2struct nougat got_ocr2",
    "TEXT,IMAGE>": (
        "clip siglip siglip2 chinese_clip altclip align clipseg x_clip owlvit owlv2 grounding-dino"
        " groupvit flava bridgetower vilt lxmert visual_bert layoutlm layoutlmv2 layoutlmv3 colpali"
        " colqwen2 colmodernvbert colidefics3"
    ),
    "TEXT,IMAGE>TEXT": (
        "llava llava_next llava_onevision vipllava bakllava blip-2 instructblip paligemma idefics"
        " idefics2 idefics3 smolvlm mllama fuyu kosmos-2 florence2 minicpmv internvl internvl_chat"
        " mgm deepseek_vl deepseek_vl_v2 phi3_v aya_vision pixtral molmo cogvlm ovis h2ovl_chat"
    ),
    "TEXT,IMAGE,VIDEO>TEXT": (
        "qwen2_vl qwen2_5_vl qwen3_vl qwen3_vl_moe video_llava llava_next_video glm4v"
    ),
    "TEXT,IMAGE>TEXT,IMAGE": "chameleon emu3 janus",
    "TEXT,IMAGE,AUDIO>TEXT": "phi4mm phi4_multimodal gemma3n",
    "TEXT,IMAGE,VIDEO,AUDIO>TEXT,AUDIO": "qwen2_5_omni qwen3_omni_moe",
    "AUDIO>TEXT": (
        "whisper speech_to_text speech-encoder-decoder moonshine parakeet_ctc seamless_m4t_asr"
        " qwen3_asr nemo-conformer nemo-conformer-tdt nemo-conformer-rnnt nemo-conformer-ctc"
    ),
    "AUDIO>": (
        "wav2vec2 wav2vec2-bert wav2vec2-conformer hubert wavlm unispeech unispeech-sat sew sew-d"
        " data2vec-audio mctct audio-spectrogram-transformer clvp"
    ),
    "AUDIO>AUDIO": "encodec dac mimi snac vocos xcodec",
    "TEXT>AUDIO": (
        "bark vits musicgen musicgen_melody fastspeech2_conformer speecht5 parler_tts csm dia"
        " kokoro qwen3_tts stable_audio parler-tts wavtokenizer-dec xtts fastpitch f5_tts"
        " vibevoice chatterbox"
    ),
    "TEXT,AUDIO>TEXT": "qwen2_audio ultravox voxtral granite_speech",
    "TEXT,AUDIO>": "clap",
    "TEXT,AUDIO>TEXT,AUDIO": "seamless_m4t seamless_m4t_v2 moshi",
}
#: Networks that read numbers over time, and neither words nor pictures.
SERIES = frozenset({
    "chronos", "chronos2", "timesfm", "timesfm2_5", "time_series_transformer", "informer",
    "autoformer", "patchtst", "patchtsmixer", "tinytimemixer", "moirai", "moment", "toto", "timer",
    "sundial", "time_moe",
})  # fmt: skip
TYPES = {kind: shape for shape, kinds in _BY_TYPE.items() for kind in kinds.split()}
