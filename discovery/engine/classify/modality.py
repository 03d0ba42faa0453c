"""The inputs and outputs of a model (TEXT, IMAGE, VIDEO, AUDIO), each with the reason.

Structure decides, in this order: pipeline class, class names and config keys, task tag, processors,
tensors and graph inputs. Words of names and cards come last, and only whole words count.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from discovery.engine.classify import pipelines
from discovery.engine.classify.model_types import TYPES
from discovery.engine.classify.signals import VOICES, Signals
from discovery.engine.classify.task_tags import TASKS
from discovery.engine.core.types import Evidence
from discovery.engine.core.vocabulary import MODALITIES

_TEXT_CLASS = re.compile(
    r"(CausalLM|MaskedLM|LMHead(Model)?|SequenceClassification|TokenClassification|"
    r"QuestionAnswering|MultipleChoice|NextSentencePrediction|ForPreTraining)$"
)
_TEXT_TYPES = re.compile(
    r"(^|[-_])(bert|roberta|electra|deberta|gpt2?|gptj|gpt[-_]neox?|llama|mistral|mixtral|qwen|"
    r"gemma|phi|falcon|bloom|opt|t5|mt5|bart|mbart|m2m|nllb|marian|"
    r"pegasus|mamba2?|rwkv|mpt|starcoder2?|command|cohere|olmo|stablelm|xlnet|xlm|albert|"
    r"distilbert|longformer|led|codegen|deepseek|chatglm|baichuan|internlm2?|"
    r"exaone4?|granite|nomic[-_]bert|jamba|lfm2?|minicpm3?|persimmon|glm4?|ernie)(?=$|[-_\d])"
)
_IMAGE_CLASS = re.compile(
    r"For(ImageClassification|ObjectDetection|SemanticSegmentation|InstanceSegmentation|"
    r"UniversalSegmentation|ImageSegmentation|DepthEstimation|MaskedImageModeling|"
    r"KeypointDetection|ImageMatting)|YOLO|(Detection|Segmentation|Pose|Classification)Model$"
)
_SPEECH_CLASS = re.compile(
    r"ForCTC$|SpeechSeq2Seq|Speech2Text|AudioClassification|ForXVector|AudioFrame|(Asr|"
    r"ASR)(?=[A-Z]|$)|Hu[Bb][Ee][Rr][Tt]|Wav2?[Vv]ec|Whisper"
)
_VOICE_CLASS = re.compile(
    r"TextToSpeech|TextToWaveform|(Tts|TTS)(?=[A-Z]|$)|SpeechT5HifiGan|MusicGen"
)
_VISION_WORD = re.compile(
    r"(?<![a-z])(VL|VLM|Vl|MiniCPMV|Vision|Visual|OCR\d?|Ocr|Llava|LLaVA|CogVLM|ImageText|"
    r"PaliGemma|Pixtral|Molmo)(?=[A-Z0-9]|For|$)"
)
_STRONG_WORDS = {
    "TEXT>AUDIO": (
        "text to speech",
        "tts",
        "outetts",
        "neutts",
        "xtts",
        "melotts",
        "sparktts",
        "indextts",
        "vibevoice",
        "cosyvoice",
        "llasa",
        "speech synthesis",
        "voice cloning",
        "text to music",
        "music generation",
    ),
    "AUDIO>TEXT": ("speech recognition", "speech to text", "asr"),
    "TEXT>IMAGE": ("text to image", "stable diffusion", "sdxl"),
    "TEXT>VIDEO": ("text to video",),
    "IMAGE>IMAGE": (
        "super resolution",
        "upscaler",
        "upscale",
        "esrgan",
        "realesrgan",
        "image restoration",
    ),
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
        return [name for name in MODALITIES if name in names]


def _spoken(names: str) -> str:
    return ", ".join(name.lower() for name in names.split(",") if name)


def detect(signals: Signals) -> Modalities:
    """Never raises; without a sign nothing is claimed."""
    found = Modalities()
    if "series" in signals.features:  # numbers over time, whatever network reads them
        return found
    for step in (pipelines.signs, _graph, _classes, _task, _processors, _ports, _tensors, _words):
        for shape, matched, where in step(signals):
            found.add(shape, matched, where)
        if found.evidence:
            break
    if found.evidence:
        for shape, matched, where in _additions(signals, found):
            found.add(shape, matched, where)
    return found


Sign = tuple[str, str, str]


def _graph(signals: Signals) -> Iterator[Sign]:
    """Inputs of an ONNX, TFLite or OpenVINO graph without a config."""
    if not (signals.architectures or signals.model_types):
        yield from _ports(signals)


def _ports(signals: Signals) -> Iterator[Sign]:
    """Inputs of a graph, also one whose config says nothing that is known."""
    # Only what hears has a network that joins sounds with what was written so far.
    if where := signals.features.get("transducer"):
        yield "AUDIO>TEXT", where, "its parts"
        return
    if where := signals.features.get("input:VOICE"):
        yield "TEXT>AUDIO", where, "graph inputs"
        return
    # A decoder's token inputs beside it are what it writes.
    if where := signals.features.get("input:AUDIO"):
        yield f"AUDIO>{'TEXT' if 'input:TEXT' in signals.features else ''}", where, "graph inputs"
        return
    for kind in ("VIDEO", "IMAGE", "TEXT"):
        if where := signals.features.get(f"input:{kind}"):
            yield f"{kind}>", where, "graph inputs"


_WHERE = "config.json architectures"
_VISION = (
    "config:vision_config", "config:visual", "config:vision_tower_config", "config:vit_config",
    "key:image_token_id", "key:image_token_index", "key:mm_vision_tower", "key:vision_tower",
    "key:visual",
)  # fmt: skip
_AUDIO = (
    "config:audio_config", "config:speech_config", "config:audio_encoder_config",
    "config:audio_tower_config", "key:audio_token_id", "key:audio_token_index",
)  # fmt: skip
_SOUND = frozenset({
    "key:sample_rate", "key:sampling_rate", "key:num_mel_bins", "key:num_mels", "key:n_mels",
})  # fmt: skip
#: Only what makes sound has a vocoder.
_VOCODER = ("key:istftnet", "key:upsample_rates")
_WRITES = re.compile(r"CausalLM|LMHead|ConditionalGeneration|Seq2SeqLM")
_HEARS = re.compile(r"CTC|Seq2Seq|Speech2Text|Asr|ASR|Whisper")


def _classes(signals: Signals) -> Iterator[Sign]:
    """Class names, model types, sub-configs and keys of config.json; architectures of GGUF
    headers. The first that says something is believed.
    """
    looks = (_known_type, _speech, _halves, _known_half, _pictures, _sound, _text)
    for look in looks:
        if sign := look(signals):
            yield sign
            return


def _known_type(signals: Signals) -> Sign | None:
    """The model's own type, which takes precedence over the types of its parts."""
    return _typed(signals.model_types[:1])


def _known_half(signals: Signals) -> Sign | None:
    return _typed(signals.model_types[1:])


def _typed(kinds: Sequence[str]) -> Sign | None:
    known = next((kind for kind in kinds if kind in TYPES), None)
    return (TYPES[known], known, "config.json model_type") if known else None


def _speech(signals: Signals) -> Sign | None:
    for name in signals.architectures:
        if _VOICE_CLASS.search(name):
            return "TEXT>AUDIO", name, _WHERE
        if _SPEECH_CLASS.search(name):
            return ("AUDIO>TEXT" if _HEARS.search(name) else "AUDIO>"), name, _WHERE
    return None


def _halves(signals: Signals) -> Sign | None:
    """A text model with a vision or an audio encoder."""
    features = signals.features
    vision = next((mark for mark in _VISION if mark in features), None)
    audio = next((mark for mark in _AUDIO if mark in features), None)
    seeing = next((name for name in signals.architectures if _VISION_WORD.search(name)), None)
    pixels = "key:vocab_size" in features and (
        "key:patch_size" in features
        or ("key:image_size" in features and "key:query_num" in features)
    )
    voice = next((mark for mark in VOICES if mark in features), None)
    if not (vision or seeing or pixels or audio or voice):
        return None
    takes = [
        "TEXT",
        *(["IMAGE"] if vision or seeing or pixels else []),
        *(["AUDIO"] if audio else []),
    ]
    reason = vision or audio or seeing or voice or "key:patch_size beside key:vocab_size"
    joint = any(name.endswith(("CLIPModel", "SiglipModel")) for name in signals.architectures)
    speaks_alone = voice and takes == ["TEXT"]
    gives = "" if joint else "AUDIO" if speaks_alone else "TEXT,AUDIO" if voice else "TEXT"
    return f"{','.join(takes)}>{gives}", reason.partition(":")[2] or reason, "config.json"


def _pictures(signals: Signals) -> Sign | None:
    features = signals.features
    if name := next((name for name in signals.architectures if _IMAGE_CLASS.search(name)), None):
        return "IMAGE>", name, _WHERE
    if "key:vocab_size" not in features and (
        "key:image_size" in features or "key:num_channels" in features
    ):
        return "IMAGE>", "image_size without a vocabulary", "config.json"
    return None


def _sound(signals: Signals) -> Sign | None:
    if "key:vocab_size" in signals.features or _SOUND.isdisjoint(signals.features):
        return None
    if vocoder := next((mark for mark in _VOCODER if mark in signals.features), None):
        takes = "TEXT" if "key:n_token" in signals.features else ""
        return f"{takes}>AUDIO", vocoder.partition(":")[2], "config.json"
    return "AUDIO>", "sampling rate without a vocabulary", "config.json"


def _text(signals: Signals) -> Sign | None:
    for name in (*signals.architectures, *signals.model_types):
        if _TEXT_CLASS.search(name) or _TEXT_TYPES.search(name.lower()):
            writes = _WRITES.search(name) or name.islower()
            where = _WHERE if name in signals.architectures else "model type"
            return ("TEXT>TEXT" if writes else "TEXT>"), name, where
    if "key:vocab_size" in signals.features and any(
        name.endswith(("ForConditionalGeneration", "ForSeq2SeqLM"))
        for name in signals.architectures
    ):
        return "TEXT>TEXT", signals.architectures[0], _WHERE
    return None


def _task(signals: Signals) -> Iterator[Sign]:
    for tag in (*signals.pipeline_tags, *(tag.replace(" ", "-") for tag in signals.tags)):
        if task := TASKS.get(tag):
            yield (
                task.modalities,
                tag,
                signals.features.get("header_task", "README.md pipeline_tag")
                if tag in signals.pipeline_tags
                else "README.md tags",
            )
            return


def _processors(signals: Signals) -> Iterator[Sign]:
    for mark, shape in (
        ("processor:image", "TEXT,IMAGE>TEXT" if "tokenizer" in signals.features else "IMAGE>"),
        ("processor:audio", "AUDIO>"),
    ):
        if mark in signals.features:
            yield shape, mark.partition(":")[2] + " processor", signals.features[mark]
            return


def _tensors(signals: Signals) -> Iterator[Sign]:
    for mark, shape in (
        ("tensors:guide", "IMAGE>IMAGE"),
        ("tensors:diffusion", "TEXT>IMAGE"),
        ("tensors:video", "TEXT>VIDEO"),
        ("tensors:picture coder", "IMAGE>IMAGE"),
        ("tensors:video coder", "VIDEO>VIDEO"),
        ("tensors:codec", "AUDIO>AUDIO"),
        ("tensors:voice", ">AUDIO"),
        ("tensors:upscaler", "IMAGE>IMAGE"),
        ("tensors:text+image", "TEXT,IMAGE>"),
        ("tensors:text", "TEXT>"),
        ("tensors:image", "IMAGE>"),
        ("tensors:moving image", "VIDEO>"),
        ("tensors:speech", "AUDIO>TEXT"),
        ("tensors:audio", "AUDIO>"),
    ):
        if mark in signals.features:
            yield shape, signals.features[mark], "tensor names"
            return
    for kind in ("AUDIO", "IMAGE", "TEXT"):
        if where := signals.features.get(f"library takes:{kind}"):
            yield f"{kind}>", where, "the library that pickled it"
            return
    if "task:causal_lm" in signals.features or "tokenizer" in signals.features:
        yield (
            "TEXT>TEXT" if "task:causal_lm" in signals.features else "TEXT>",
            "tokenizer or task type",
            signals.features.get("task:causal_lm") or signals.features["tokenizer"],
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
    """Additional modalities: a projector, video tokens, a base model with image input, a language
    model with speech output.
    """
    features = signals.features
    if "projector:image" in features:
        yield "IMAGE>", "projector", features["projector:image"]
    if "projector:audio" in features:
        yield "AUDIO>", "projector", features["projector:audio"]
    if found.inputs == {"TEXT"} and "processor:image" in features:
        yield "IMAGE>", "image processor", features["processor:image"]
    if found.inputs <= {"TEXT"} and found.outputs <= {"TEXT"} and "lora" in features:
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
    if "IMAGE" in found.inputs and "TEXT" in found.inputs | found.outputs:
        yield from _moving(signals)
    if found.inputs <= {"TEXT"} and found.outputs <= {"TEXT"}:
        for place in ("name", "title", "description", "tags"):
            phrase = next(
                (p for p in _STRONG_WORDS["TEXT>AUDIO"] if _says(signals, place, p)), None
            )
            if phrase:
                yield ">AUDIO", phrase, place
                return


#: Keys and files that only models have which take films.
_FILM_MARKS = ("key:video_token_id", "processor:video")


def _moving(signals: Signals) -> Iterator[Sign]:
    for mark in _FILM_MARKS:
        if mark in signals.features:
            yield "VIDEO>", mark.partition(":")[2].replace("_", " "), signals.features[mark]
            return
    if any(pipelines.VIDEO.search(name) for name in signals.architectures):
        yield "VIDEO>", "video", "config.json architectures"


def _says(signals: Signals, place: str, phrase: str) -> bool:
    if " " in phrase:
        return f" {phrase} " in signals.phrases.get(place, "")
    return phrase in signals.words.get(place, ())
