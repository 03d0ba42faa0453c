"""Collects signals from the weights and from the files next to them.

These are tokenizer, processors, pipeline components, tensors and graph inputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from discovery.engine.classify.signals import SignalCollector
from discovery.engine.core.types import Header
from discovery.engine.disk.folder import ModelFolder
from discovery.engine.identify import gguf_kinds, halves, tensor_clues
from discovery.engine.identify.gguf_kinds import Kind
from discovery.engine.identify.gguf_models import GGUFModel
from discovery.engine.identify.weight_files import WeightSet
from discovery.engine.memory import shape_from_gguf
from discovery.engine.sidecars import adapter
from discovery.engine.untrusted import chat_templates

#: What prepares pictures, films and sound, and its parts where one file holds all of them.
PROCESSORS = ("preprocessor_config.json", "processor_config.json", "video_preprocessor_config.json")
_PARTS = {
    "image_processor": "processor:image",
    "video_processor": "processor:video",
    "feature_extractor": "processor:audio",
}

#: What models of a library take, whose classes a checkpoint was pickled with.
_LIBRARIES = {
    **dict.fromkeys(
        ("pyannote", "speechbrain", "torchaudio", "nemo", "espnet", "asteroid"), "AUDIO"
    ),
    **dict.fromkeys(
        ("ultralytics", "torchvision", "detectron2", "mmdet", "mmcv", "mmseg"), "IMAGE"
    ),
    **dict.fromkeys(("gensim", "flair", "stanza", "spacy"), "TEXT"),
}


def read_pipeline(clues: SignalCollector, pipeline: Mapping[str, Any]) -> None:
    clues.add_feature("diffusers", "model_index.json")
    clues.config({"_class_name": pipeline.get("_class_name")}, "model_index.json")
    for name, component in pipeline.items():
        if isinstance(component, list) and component and component[0] is not None:
            clues.add_feature(f"component:{str(name)[:40]}", "model_index.json")


def read_component(clues: SignalCollector, config: Mapping[str, Any], source: str) -> None:
    """A Diffusers model of its own: a UNet, a ControlNet, an autoencoder."""
    clues.add_feature("diffusers", source)
    if config.get("cross_attention_dim") or config.get("joint_attention_dim"):
        clues.add_feature("text_conditioned", source)


def read_adapter(clues: SignalCollector, config: Mapping[str, Any]) -> None:
    clues.add_feature("lora", "adapter_config.json")
    clues.text("base model", adapter.base_model(config))
    if config.get("task_type") in ("CAUSAL_LM", "SEQ_2_SEQ_LM"):
        clues.add_feature("task:causal_lm", "adapter_config.json task_type")


def read_sidecars(
    clues: SignalCollector, folder: ModelFolder, tokenizer: Mapping[str, Any] | None
) -> None:
    """Chat template, tokenizer, and what a preprocessor is for."""
    template = (tokenizer or {}).get("chat_template")
    source = "tokenizer_config.json" if template else None
    for name in ("chat_template.jinja", "chat_template.json"):
        if name in folder:
            own = (folder.read(name, chat_templates.MAX_TEMPLATE) or b"").decode("utf-8", "replace")
            source, template = source or name, template or own
    if source:
        clues.add_feature("chat_template", source)
        if "tool" in str(template):
            clues.add_feature("tools", source)
    for name in (
        "tokenizer_config.json",
        "tokenizer.json",
        "vocab.txt",
        "tokenizer.model",
        "spiece.model",
    ):
        if name in folder:
            clues.add_feature("tokenizer", name)
            break
    if "modules.json" in folder or "config_sentence_transformers.json" in folder:
        clues.add_feature(
            "sentence_transformers",
            "modules.json" if "modules.json" in folder else "config_sentence_transformers.json",
        )
    if "config_setfit.json" in folder:
        clues.add_feature("library:setfit", "config_setfit.json")
    for name in PROCESSORS:
        if name in folder:
            _read_preprocessor(clues, folder.json(name) or {}, name)


def _read_preprocessor(clues: SignalCollector, config: Mapping[str, Any], where: str) -> None:
    kind = (
        f"{config.get('image_processor_type') or ''} {config.get('feature_extractor_type') or ''}"
        f" {config.get('processor_class') or ''}"
    )
    for part, mark in _PARTS.items():  # processors of Transformers 5 hold those of each kind
        if isinstance(config.get(part), dict):
            clues.add_feature(mark, where)
    if config.get("video_processor_type") or where.startswith("video_"):
        clues.add_feature("processor:video", where)
    if any(
        word in kind
        for word in ("Whisper", "Wav2Vec2", "Seamless", "Speech", "Audio", "Clap", "Encodec", "Asr")
    ) or config.get("sampling_rate"):
        clues.add_feature("processor:audio", where)
    if (
        "Image" in kind
        or any(word in kind for word in ("CLIP", "ViT", "Donut", "DETR"))
        or (config.get("image_mean") and not where.startswith("video_"))
        or config.get("image_size")
    ):
        clues.add_feature("processor:image", where)


def read_weights(clues: SignalCollector, sets: Sequence[WeightSet]) -> None:
    """Names of tensors, inputs of graphs, classes that a pickle asks for."""
    for group in sets[:1]:
        if joiner := next((f for f in group.files if halves.half(f.entry.name) == "joiner"), None):
            clues.add_feature("transducer", joiner.entry.name)
        for header in group.headers[:4]:
            tensor_clues.read(clues, header.tensors)
            _read_graph(clues, header)
            if header.task:
                clues.task = clues.task or header.task
                clues.add_feature("header_task", f"{header.format} header")
            for imported in header.imports:
                if kind := _LIBRARIES.get(imported.partition(".")[0]):
                    clues.add_feature(f"library takes:{kind}", imported[:120])
                if imported.endswith(
                    ("DetectionModel", "SegmentationModel", "PoseModel", "ClassificationModel")
                ):
                    clues.architectures.setdefault(imported.rpartition(".")[2])


def _read_graph(clues: SignalCollector, header: Header) -> None:
    inputs = header.metadata.get("inputs")
    given = inputs if isinstance(inputs, list) else []
    listed = [item for item in given if isinstance(item, Mapping)]
    asked = {str(item.get("name", "")).lower() for item in listed}
    if where := next((each for each in _VOICED if each <= asked), None):
        clues.add_feature("input:VOICE", ", ".join(sorted(where)))
    for item in listed:
        name, shape = str(item.get("name", "")), item.get("shape") or []
        if kind := _kind_of_input(name.lower(), shape if isinstance(shape, list) else []):
            clues.add_feature(f"input:{kind}", f"{name[:60]} {list(shape)}")
    properties = header.metadata.get("properties")
    if isinstance(properties, Mapping) and isinstance(task := properties.get("task"), str):
        clues.add_feature(f"task:{task[:40].lower()}", f"{header.format} metadata")
        clues.pipeline_tags.setdefault(
            {
                "detect": "object-detection",
                "segment": "image-segmentation",
                "classify": "image-classification",
            }.get(task, task.lower())
        )


#: Inputs that only networks have which speak: how long, how loud, how fast, in which voice.
_VOICED = (
    frozenset({"noise_scale", "length_scale"}),
    frozenset({"input_lengths", "scales"}),
    frozenset({"style", "speed"}),
)
#: Names of inputs, whole; what is part of others; shapes of those whose names tell nothing.
_TOKENS = frozenset(
    {"input_ids", "attention_mask", "token_type_ids", "decoder_input_ids", "tokens", "segment_ids"}
)
_SOUNDS = frozenset({"sr", "sample_rate", "speech", "fbank", "pcm", "feats"})
_HEARD = ("input_features", "input_values", "audio", "waveform", "mel", "wav")
#: Samples of sound that no other axis has as many of.
_MANY = 4_000


def _kind_of_input(name: str, shape: Sequence[Any]) -> str | None:
    """``shape``: whole numbers where the graph fixes them, anything else where it does not."""
    rank, known = len(shape), [n for n in shape if isinstance(n, int) and n > 0]
    if name in _TOKENS:
        return "TEXT"
    if name in _SOUNDS or any(word in name for word in _HEARD):
        return "AUDIO"
    if "pixel" in name or "image" in name:
        return "IMAGE"
    if rank == 4 and (3 in (shape[1], shape[3]) or (1 in known and _is_square(known))):
        return "IMAGE"
    if rank == 5 and (3 in shape[1:3] or shape[4] == 3):
        return "VIDEO"
    long = max(known, default=0)
    if rank == 3 and (80 in known or 128 in known) and long >= 1000:
        return "AUDIO"
    if rank in (2, 3) and long >= _MANY and all(n <= 2 for n in known if n != long):
        return "AUDIO"
    return None


def _is_square(known: Sequence[int]) -> bool:
    """Whether two axes are the equal sides of a picture."""
    sides = [n for n in known if n >= 28]
    return len(sides) == 2 and sides[0] == sides[1]


def read_gguf(clues: SignalCollector, model: GGUFModel) -> Kind:
    """Reads signals from a GGUF header, and says what kind of file it is.

    Architecture, tags, pooling, chat template, and the inputs of a projector.
    """
    metadata = model.metadata
    clues.shape = clues.shape or shape_from_gguf(metadata)
    clues.projector_bytes = _projector_bytes(model)
    kind = gguf_kinds.read(clues, metadata, model.tensors if model.is_whole else None)
    template = metadata.get("tokenizer.chat_template")
    if isinstance(template, str) and template and kind is not Kind.DRAFT:
        clues.add_feature("chat_template", "gguf tokenizer.chat_template")
        if "tool" in template:
            clues.add_feature("tools", "gguf tokenizer.chat_template")
    clues.text("title", metadata.get("general.name"))
    clues.text("base model", metadata.get("general.base_model.0.name"))
    for file in model.projectors:
        seen = file.header.metadata if file.header else {}
        hears = seen.get("clip.has_audio_encoder") is True
        if hears:
            clues.add_feature("projector:audio", file.entry.name)
        if not hears or seen.get("clip.has_vision_encoder") is True:
            clues.add_feature("projector:image", file.entry.name)
    return kind


def _projector_bytes(model: GGUFModel) -> int:
    """Bytes of the projectors that are loaded together.

    For each kind of vision or audio input, the largest of its precisions.
    """
    largest: dict[tuple[Any, ...], int] = {}
    for file in model.projectors:
        if file.header:
            told = file.header.metadata
            kind = (told.get("clip.has_vision_encoder"), told.get("clip.has_audio_encoder"))
            size = sum(tensor.size for tensor in file.header.tensors)
            largest[kind] = max(largest.get(kind, 0), size)
    return sum(largest.values())
