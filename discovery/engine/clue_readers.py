"""Clues from what lies beside and inside the weights: tokenizer, processors, pipeline components, tensors, graph inputs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from discovery.engine import chat_templates, remote_code
from discovery.engine.folder import Folder
from discovery.engine.gguf_models import GGUFModel, architecture
from discovery.engine.memory import shape_from_gguf
from discovery.engine.signals import Clues
from discovery.engine.types import Header, Tensor
from discovery.engine.weights import WeightSet

#: How many tensors are asked for their name: what a model is shows in the first ones.
_SAMPLE = 120


def _any_of(*marks: str) -> re.Pattern[str]:
    return re.compile("|".join(map(re.escape, marks)))


_DIFFUSION = re.compile(
    r"(?:^|\n)(?:model\.diffusion_model\.|unet\.|lora_unet_|transformer_blocks\.|double_blocks\.|down_blocks\.|lora_te_|text_encoder\.text_model)"
)
_TEXT = _any_of(
    "embed_tokens",
    "word_embeddings",
    "wte.",
    "token_embd",
    "bert.encoder",
    "lm_head",
    "transformer.h.",
    "language_model",
)
_EYES = _any_of(
    "vision_model.",
    "visual.",
    "vision_tower.",
    "patch_embed",
    "vit.",
    "image_encoder",
    "conv1.weight",
    "backbone.",
)
_EARS = _any_of(
    "feature_extractor.conv_layers", "encoder.conv1", "mel_", "audio_tower", "wav2vec2."
)


def _line(names: str, match: re.Match[str]) -> str:
    """The tensor's name that the match lies in."""
    start = names.rfind("\n", 0, match.end() - 1) + 1
    end = names.find("\n", match.end())
    return names[start : end if end >= 0 else len(names)]


def read_pipeline(clues: Clues, pipeline: Mapping[str, Any]) -> None:
    clues.mark("diffusers", "model_index.json")
    clues.config({"_class_name": pipeline.get("_class_name")}, "model_index.json")
    for name, component in pipeline.items():
        if isinstance(component, list) and component and component[0] is not None:
            clues.mark(f"component:{str(name)[:40]}", "model_index.json")


def read_component(clues: Clues, config: Mapping[str, Any], source: str) -> None:
    """A Diffusers model of its own: a UNet, a ControlNet, an autoencoder."""
    clues.mark("diffusers", source)
    if config.get("cross_attention_dim") or config.get("joint_attention_dim"):
        clues.mark("text_conditioned", source)


def read_adapter(clues: Clues, config: Mapping[str, Any]) -> None:
    clues.mark("lora", "adapter_config.json")
    clues.text("base model", config.get("base_model_name_or_path"))
    if config.get("task_type") in ("CAUSAL_LM", "SEQ_2_SEQ_LM"):
        clues.mark("task:causal_lm", "adapter_config.json task_type")


def read_sidecars(clues: Clues, folder: Folder, tokenizer: Mapping[str, Any] | None) -> None:
    """Chat template, tokenizer, and what a preprocessor is for."""
    template = (tokenizer or {}).get("chat_template")
    source = "tokenizer_config.json" if template else None
    remote_code.note_template(folder, "tokenizer_config.json", template)
    for name in ("chat_template.jinja", "chat_template.json"):
        if name in folder:
            own = (folder.read(name, chat_templates.MAX_TEMPLATE) or b"").decode("utf-8", "replace")
            remote_code.note_template(folder, name, own)
            source, template = source or name, template or own
    if source:
        clues.mark("chat_template", source)
        if "tool" in str(template):
            clues.mark("tools", source)
    for name in (
        "tokenizer_config.json",
        "tokenizer.json",
        "vocab.txt",
        "tokenizer.model",
        "spiece.model",
    ):
        if name in folder:
            clues.mark("tokenizer", name)
            break
    if "modules.json" in folder or "config_sentence_transformers.json" in folder:
        clues.mark(
            "sentence_transformers",
            "modules.json" if "modules.json" in folder else "config_sentence_transformers.json",
        )
    if "preprocessor_config.json" in folder:
        preprocessor = folder.json("preprocessor_config.json") or {}
        remote_code.note_config(folder, "preprocessor_config.json", preprocessor)
        _read_preprocessor(clues, preprocessor)


def _read_preprocessor(clues: Clues, config: Mapping[str, Any]) -> None:
    kind = f"{config.get('image_processor_type') or ''} {config.get('feature_extractor_type') or ''} {config.get('processor_class') or ''}"
    where = "preprocessor_config.json"
    if any(
        word in kind
        for word in ("Whisper", "Wav2Vec2", "Seamless", "Speech", "Audio", "Clap", "Encodec", "Asr")
    ) or config.get("sampling_rate"):
        clues.mark("processor:audio", where)
    if (
        "Image" in kind
        or any(word in kind for word in ("CLIP", "ViT", "Donut", "DETR"))
        or config.get("image_mean")
        or config.get("image_size")
    ):
        clues.mark("processor:image", where)


def read_weights(clues: Clues, sets: Sequence[WeightSet]) -> None:
    """Names of tensors, inputs of graphs, classes that a pickle asks for."""
    for group in sets[:1]:
        for header in group.headers[:4]:
            _read_tensors(clues, header.tensors[:_SAMPLE])
            _read_graph(clues, header)
            for imported in header.imports:
                if imported.endswith(
                    ("DetectionModel", "SegmentationModel", "PoseModel", "ClassificationModel")
                ):
                    clues.architectures.setdefault(imported.rpartition(".")[2])


def _read_tensors(clues: Clues, tensors: Sequence[Tensor]) -> None:
    names = "\n".join(tensor.name for tensor in tensors)
    text, eyes = _TEXT.search(names), _EYES.search(names)
    if diffusion := _DIFFUSION.search(names):
        clues.mark("tensors:diffusion", _line(names, diffusion))
    elif eyes and "text_model." in names:
        clues.mark("tensors:text+image", _line(names, eyes))
    elif ears := _EARS.search(names):
        clues.mark("tensors:audio", _line(names, ears))
    elif text:
        clues.mark("tensors:text", _line(names, text))
    elif eyes:
        clues.mark("tensors:image", _line(names, eyes))
    elif pixels := next(
        (tensor.name for tensor in tensors if len(tensor.shape) == 4 and tensor.shape[1] == 3), None
    ):
        clues.mark("tensors:image", pixels)


def _read_graph(clues: Clues, header: Header) -> None:
    inputs = header.metadata.get("inputs")
    for item in inputs if isinstance(inputs, list) else []:
        if isinstance(item, Mapping):
            name, shape = str(item.get("name", "")), item.get("shape") or []
            if kind := _kind_of_input(
                name.lower(), [n for n in shape if isinstance(n, int)], len(shape)
            ):
                clues.mark(f"input:{kind}", f"{name[:60]} {list(shape)}")
    properties = header.metadata.get("properties")
    if isinstance(properties, Mapping) and isinstance(task := properties.get("task"), str):
        clues.mark(f"task:{task[:40].lower()}", "ONNX metadata")
        clues.pipeline_tags.setdefault(
            {
                "detect": "object-detection",
                "segment": "image-segmentation",
                "classify": "image-classification",
            }.get(task, task.lower())
        )


def _kind_of_input(name: str, known: list[int], rank: int) -> str | None:
    if name in ("input_ids", "attention_mask", "token_type_ids", "decoder_input_ids", "tokens"):
        return "TEXT"
    if any(
        word in name
        for word in ("input_features", "input_values", "audio", "waveform", "mel", "wav")
    ):
        return "AUDIO"
    if (
        "pixel" in name
        or "image" in name
        or (rank == 4 and (3 in known or 1 in known) and max(known, default=0) >= 28)
    ):
        return "IMAGE"
    return (
        "AUDIO"
        if rank == 3 and (80 in known or 128 in known) and max(known, default=0) >= 1000
        else None
    )


def read_gguf(clues: Clues, model: GGUFModel) -> None:
    """The header's own words: architecture, tags, pooling, chat template, and what the projector sees or hears."""
    metadata = model.metadata
    kind = architecture(metadata)
    clues.shape = clues.shape or shape_from_gguf(metadata)
    clues.projector_bytes = sum(
        tensor.size for file in model.projectors if file.header for tensor in file.header.tensors
    )
    if kind:
        clues.model_types.setdefault(kind)
        if f"{kind}.pooling_type" in metadata and metadata[f"{kind}.pooling_type"] not in (0, None):
            clues.mark("pooling", f"gguf {kind}.pooling_type")
    template = metadata.get("tokenizer.chat_template")
    if isinstance(template, str) and template:
        clues.mark("chat_template", "gguf tokenizer.chat_template")
        if "tool" in template:
            clues.mark("tools", "gguf tokenizer.chat_template")
    clues.text("title", metadata.get("general.name"))
    clues.text("base model", metadata.get("general.base_model.0.name"))
    for file in model.projectors:
        seen = file.header.metadata if file.header else {}
        where = file.entry.name
        clues.mark(
            "projector:audio" if seen.get("clip.has_audio_encoder") is True else "projector:image",
            where,
        )
