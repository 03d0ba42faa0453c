"""What goes in and what comes out of a model: TEXT, IMAGE, VIDEO, AUDIO, each with the reason.

Structure decides, in this order: pipeline class, class names and config keys, task tag, processors, tensors and graph inputs;
words of names and cards come last, and only whole ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from discovery.engine.signals import Signals
from discovery.engine.task_tags import TASKS
from discovery.engine.types import Evidence

ORDER = ("TEXT", "IMAGE", "VIDEO", "AUDIO")

#: Model types by what they take and give. ``>`` separates in from out; several types share a line.
_BY_TYPE = {
    "IMAGE>": (
        "vit deit swin swinv2 beit convnext convnextv2 resnet dinov2 dinov3 efficientnet mobilenet_v1 mobilenet_v2 mobilevit "
        "poolformer regnet bit cvt levit van focalnet pvt pvt_v2 hiera timm_wrapper segformer upernet maskformer mask2former "
        "oneformer detr conditional_detr deformable_detr rt_detr rt_detr_v2 yolos table-transformer dpt depth_anything glpn "
        "zoedepth sam sam2 vitmatte birefnet superpoint vit_mae ijepa data2vec-vision"
    ),
    "IMAGE>IMAGE": "swin2sr vitdet",
    "VIDEO>": "videomae timesformer vivit vjepa2",
    "IMAGE>TEXT": "vision-encoder-decoder trocr donut-swin git blip pix2struct nougat got_ocr2",
    "TEXT,IMAGE>": (
        "clip siglip siglip2 chinese_clip altclip align clipseg x_clip owlvit owlv2 grounding-dino groupvit flava bridgetower "
        "vilt lxmert visual_bert layoutlm layoutlmv2 layoutlmv3 colpali colqwen2"
    ),
    "TEXT,IMAGE>TEXT": (
        "llava llava_next llava_onevision vipllava bakllava blip-2 instructblip paligemma idefics idefics2 idefics3 smolvlm "
        "mllama fuyu kosmos-2 florence2 minicpmv internvl internvl_chat mgm deepseek_vl deepseek_vl_v2 phi3_v aya_vision pixtral "
        "molmo cogvlm ovis h2ovl_chat"
    ),
    "TEXT,IMAGE,VIDEO>TEXT": "qwen2_vl qwen2_5_vl qwen3_vl qwen3_vl_moe video_llava llava_next_video glm4v",
    "TEXT,IMAGE>TEXT,IMAGE": "chameleon emu3 janus",
    "TEXT,IMAGE,AUDIO>TEXT": "phi4mm phi4_multimodal gemma3n",
    "TEXT,IMAGE,VIDEO,AUDIO>TEXT,AUDIO": "qwen2_5_omni qwen3_omni_moe",
    "AUDIO>TEXT": "whisper speech_to_text speech-encoder-decoder moonshine parakeet_ctc seamless_m4t_asr",
    "AUDIO>": (
        "wav2vec2 wav2vec2-bert wav2vec2-conformer hubert wavlm unispeech unispeech-sat sew sew-d data2vec-audio mctct audio- "
        "spectrogram-transformer clvp"
    ),
    "AUDIO>AUDIO": "encodec dac mimi snac vocos xcodec",
    "TEXT>AUDIO": "bark vits musicgen musicgen_melody fastspeech2_conformer speecht5 parler_tts csm dia kokoro",
    "TEXT,AUDIO>TEXT": "qwen2_audio ultravox voxtral granite_speech",
    "TEXT,AUDIO>": "clap",
    "TEXT,AUDIO>TEXT,AUDIO": "seamless_m4t seamless_m4t_v2 moshi",
}
_TYPES = {kind: shape for shape, kinds in _BY_TYPE.items() for kind in kinds.split()}

_TEXT_CLASS = re.compile(
    r"(CausalLM|MaskedLM|LMHead(Model)?|SequenceClassification|TokenClassification|QuestionAnswering|MultipleChoice|NextSentencePrediction|ForPreTraining)$"
)
_TEXT_TYPES = re.compile(
    r"(^|[-_])(bert|roberta|electra|deberta|gpt2?|gptj|gpt[-_]neox?|llama|mistral|mixtral|qwen|gemma|phi|falcon|bloom|opt|t5|mt5|bart|mbart|m2m|nllb|marian|"
    r"pegasus|mamba2?|rwkv|mpt|starcoder2?|command|cohere|olmo|stablelm|xlnet|xlm|albert|distilbert|longformer|led|codegen|deepseek|chatglm|baichuan|internlm2?|"
    r"exaone4?|granite|nomic[-_]bert|jamba|lfm2?|minicpm3?|persimmon|glm4?|ernie)(?=$|[-_\d])"
)
_IMAGE_CLASS = re.compile(
    r"For(ImageClassification|ObjectDetection|SemanticSegmentation|InstanceSegmentation|UniversalSegmentation|ImageSegmentation|DepthEstimation|MaskedImageModeling|"
    r"KeypointDetection|ImageMatting)|YOLO|(Detection|Segmentation|Pose|Classification)Model$"
)
_SPEECH_CLASS = re.compile(
    r"ForCTC$|SpeechSeq2Seq|Speech2Text|AudioClassification|ForXVector|AudioFrame|(Asr|ASR)(?=[A-Z]|$)|Hu[Bb][Ee][Rr][Tt]|Wav2?[Vv]ec|Whisper"
)
_VOICE_CLASS = re.compile(
    r"TextToSpeech|TextToWaveform|(Tts|TTS)(?=[A-Z]|$)|SpeechT5HifiGan|MusicGen"
)
_VISION_WORD = re.compile(
    r"(?<![a-z])(VL|VLM|Vl|MiniCPMV|Vision|Visual|OCR\d?|Ocr|Llava|LLaVA|CogVLM|ImageText|PaliGemma|Pixtral|Molmo)(?=[A-Z0-9]|For|$)"
)
_VIDEO_WORD = re.compile(
    r"Video|Animate|Motion|CogVideoX|HunyuanVideo|LTX|Mochi|(^|[a-z])Wan(?=[A-Z]|$)|3DConditionModel|Transformer3DModel"
)
_SOUND_WORD = re.compile(r"Audio|Music|Sound|Speech")

_STRONG_WORDS = {
    "TEXT>AUDIO": (
        "text to speech",
        "tts",
        "speech synthesis",
        "voice cloning",
        "text to music",
        "music generation",
    ),
    "AUDIO>TEXT": ("speech recognition", "speech to text", "asr"),
    "TEXT>IMAGE": ("text to image", "stable diffusion", "sdxl"),
    "TEXT>VIDEO": ("text to video",),
    "TEXT,IMAGE>TEXT": (
        "vision language model",
        "llava",
        "visual question answering",
        "image text to text",
    ),
}


@dataclass(slots=True)
class Modalities:
    """``inputs`` and ``outputs`` in the order TEXT, IMAGE, VIDEO, AUDIO; ``evidence`` says why."""

    inputs: set[str] = field(default_factory=set)
    outputs: set[str] = field(default_factory=set)
    evidence: list[Evidence] = field(default_factory=list)

    def add(self, shape: str, matched: str, where: str) -> None:
        """``shape`` is ``TEXT,IMAGE>TEXT``."""
        inputs, _, outputs = shape.partition(">")
        self.inputs |= set(filter(None, inputs.split(",")))
        self.outputs |= set(filter(None, outputs.split(",")))
        self.evidence.append(
            Evidence(
                f"{_spoken(inputs)} → {_spoken(outputs) or 'vectors or labels'}",
                matched,
                where,
                1.0,
            )
        )

    @property
    def all(self) -> list[str]:
        return self.ordered(self.inputs | self.outputs)

    @staticmethod
    def ordered(names: set[str]) -> list[str]:
        return [name for name in ORDER if name in names]


def _spoken(names: str) -> str:
    return ", ".join(name.lower() for name in names.split(",") if name)


def detect(signals: Signals) -> Modalities:
    """Never raises; without a sign nothing is claimed."""
    found = Modalities()
    for step in (_pipeline, _graph, _classes, _task, _processors, _tensors, _words):
        for shape, matched, where in step(signals):
            found.add(shape, matched, where)
        if found.evidence:
            break
    if found.evidence:
        for shape, matched, where in _additions(signals, found):
            found.add(shape, matched, where)
    return found


Sign = tuple[str, str, str]


def _pipeline(signals: Signals) -> Iterator[Sign]:
    """Diffusers: the class names what comes out, the components whether text goes in."""
    if "diffusers" not in signals.marks:
        return
    name, where = next(iter(signals.architectures), ""), signals.marks["diffusers"]
    gives = (
        "AUDIO" if _SOUND_WORD.search(name) else "VIDEO" if _VIDEO_WORD.search(name) else "IMAGE"
    )
    takes = (
        ["TEXT"]
        if "component:text_encoder" in signals.marks or "text_conditioned" in signals.marks
        else []
    )
    if re.search(
        r"Img2Img|Inpaint|ControlNet|ImageToVideo|Upscale|InstructPix2Pix|^StableVideo", name
    ):
        takes.append("IMAGE")
    yield f"{','.join(takes)}>{gives}", name or "diffusion pipeline", where


def _graph(signals: Signals) -> Iterator[Sign]:
    """Inputs of an ONNX, TFLite or OpenVINO graph whose config says nothing."""
    if signals.architectures or signals.model_types:
        return
    if where := signals.marks.get(
        "input:AUDIO"
    ):  # a decoder's token inputs beside it are what it writes
        yield f"AUDIO>{'TEXT' if 'input:TEXT' in signals.marks else ''}", where, "graph inputs"
        return
    for kind in ("IMAGE", "TEXT"):
        if where := signals.marks.get(f"input:{kind}"):
            yield f"{kind}>", where, "graph inputs"


def _classes(signals: Signals) -> Iterator[Sign]:
    """Class names, model types, sub-configs and keys of config.json; architectures of GGUF headers."""
    marks = signals.marks
    for kind in signals.model_types:
        if shape := _TYPES.get(kind):
            yield shape, kind, "config.json model_type"
            return
    where = "config.json architectures"
    for name in signals.architectures:
        if _VOICE_CLASS.search(name):
            yield "TEXT>AUDIO", name, where
            return
        if _SPEECH_CLASS.search(name):
            yield (
                (
                    "AUDIO>TEXT"
                    if re.search(r"CTC|Seq2Seq|Speech2Text|Asr|ASR|Whisper", name)
                    else "AUDIO>"
                ),
                name,
                where,
            )
            return
    eyes = next(
        (
            mark
            for mark in marks
            if mark.startswith("config:")
            and mark[7:] in ("vision_config", "visual", "vision_tower_config", "vit_config")
        ),
        None,
    )
    eyes = eyes or next(
        (
            f"key:{key}"
            for key in (
                "image_token_id",
                "image_token_index",
                "mm_vision_tower",
                "vision_tower",
                "visual",
            )
            if f"key:{key}" in marks
        ),
        None,
    )
    ears = next(
        (
            mark
            for mark in marks
            if mark
            in (
                "config:audio_config",
                "config:speech_config",
                "key:audio_token_id",
                "key:audio_token_index",
            )
        ),
        None,
    )
    vision_class = next((name for name in signals.architectures if _VISION_WORD.search(name)), None)
    pixels = "key:vocab_size" in marks and (
        "key:patch_size" in marks or ("key:image_size" in marks and "key:query_num" in marks)
    )
    if eyes or vision_class or pixels or ears:
        takes = [
            "TEXT",
            *(["IMAGE"] if eyes or vision_class or pixels else []),
            *(["AUDIO"] if ears else []),
        ]
        reason = eyes or ears or vision_class or "key:patch_size beside key:vocab_size"
        joint = any(name.endswith(("CLIPModel", "SiglipModel")) for name in signals.architectures)
        yield (
            f"{','.join(takes)}>{'' if joint else 'TEXT'}",
            reason.partition(":")[2] or reason,
            "config.json",
        )
        return
    for name in signals.architectures:
        if _IMAGE_CLASS.search(name):
            yield "IMAGE>", name, where
            return
    if "key:vocab_size" not in marks and ("key:image_size" in marks or "key:num_channels" in marks):
        yield "IMAGE>", "image_size without a vocabulary", "config.json"
        return
    if "key:vocab_size" not in marks and (
        "key:sample_rate" in marks or "key:sampling_rate" in marks or "key:num_mel_bins" in marks
    ):
        yield "AUDIO>", "sampling rate without a vocabulary", "config.json"
        return
    for name in (*signals.architectures, *signals.model_types):
        if _TEXT_CLASS.search(name) or _TEXT_TYPES.search(name.lower()):
            generates = (
                re.search(r"CausalLM|LMHead|ConditionalGeneration|Seq2SeqLM", name)
                or name.islower()
            )
            yield (
                ("TEXT>TEXT" if generates else "TEXT>"),
                name,
                where if name in signals.architectures else "model type",
            )
            return
    if (
        any(
            name.endswith(("ForConditionalGeneration", "ForSeq2SeqLM"))
            for name in signals.architectures
        )
        and "key:vocab_size" in marks
    ):
        yield "TEXT>TEXT", signals.architectures[0], where


def _task(signals: Signals) -> Iterator[Sign]:
    for tag in (*signals.pipeline_tags, *(tag.replace(" ", "-") for tag in signals.tags)):
        if task := TASKS.get(tag):
            yield (
                task.modalities,
                tag,
                "README.md pipeline_tag" if tag in signals.pipeline_tags else "README.md tags",
            )
            return


def _processors(signals: Signals) -> Iterator[Sign]:
    for mark, shape in (
        ("processor:image", "TEXT,IMAGE>TEXT" if "tokenizer" in signals.marks else "IMAGE>"),
        ("processor:audio", "AUDIO>"),
    ):
        if mark in signals.marks:
            yield shape, mark.partition(":")[2] + " processor", signals.marks[mark]
            return


def _tensors(signals: Signals) -> Iterator[Sign]:
    for mark, shape in (
        ("tensors:diffusion", "TEXT>IMAGE"),
        ("tensors:text+image", "TEXT,IMAGE>"),
        ("tensors:text", "TEXT>"),
        ("tensors:image", "IMAGE>"),
        ("tensors:audio", "AUDIO>"),
    ):
        if mark in signals.marks:
            yield shape, signals.marks[mark], "tensor names"
            return
    if "task:causal_lm" in signals.marks or "tokenizer" in signals.marks:
        yield (
            "TEXT>TEXT" if "task:causal_lm" in signals.marks else "TEXT>",
            "tokenizer or task type",
            signals.marks.get("task:causal_lm") or signals.marks["tokenizer"],
        )


def _words(signals: Signals) -> Iterator[Sign]:
    for place in ("name", "base model", "tags", "title", "description"):
        for shape, phrases in _STRONG_WORDS.items():
            for phrase in phrases:
                if _says(signals, place, phrase):
                    yield shape, phrase, place
                    return
    for place in ("name", "base model"):
        hit = next(
            (word for word in signals.words.get(place, ()) if _TEXT_TYPES.fullmatch(word)), None
        )
        if hit:
            yield "TEXT>", hit, place
            return


def _additions(signals: Signals, found: Modalities) -> Iterator[Sign]:
    """What a second look adds: a projector's eyes, video tokens, a base model that sees, a language model that speaks."""
    marks = signals.marks
    if "projector:image" in marks:
        yield "IMAGE>", "projector", marks["projector:image"]
    if "projector:audio" in marks:
        yield "AUDIO>", "projector", marks["projector:audio"]
    if found.inputs == {"TEXT"} and "processor:image" in marks:
        yield "IMAGE>", "image processor", marks["processor:image"]
    if found.inputs <= {"TEXT"} and found.outputs <= {"TEXT"} and "lora" in marks:
        base = next(
            (
                p
                for p in ("vision language model", "llava", "paligemma", "vl")
                if _says(signals, "base model", p)
            ),
            None,
        )
        if base:
            yield "IMAGE>", base, "base model"
    if "IMAGE" in found.inputs and any(_VIDEO_WORD.search(name) for name in signals.architectures):
        yield "VIDEO>", "video", "config.json architectures"
    if found.inputs <= {"TEXT"} and found.outputs <= {"TEXT"}:
        for place in ("name", "title", "description", "tags"):
            phrase = next(
                (p for p in _STRONG_WORDS["TEXT>AUDIO"] if _says(signals, place, p)), None
            )
            if phrase:
                yield ">AUDIO", phrase, place
                return


def _says(signals: Signals, place: str, phrase: str) -> bool:
    if " " in phrase:
        return f" {phrase} " in signals.phrases.get(place, "")
    return phrase in signals.words.get(place, ())
