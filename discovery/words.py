"""The words of the vocabulary as people say them, and what to do about each kind of problem."""

from __future__ import annotations

from collections.abc import Sequence

TYPES = {
    "TRANSFORMERS": "Transformers", "LLAMA_CPP": "llama.cpp", "ONNX": "ONNX Runtime", "DIFFUSERS": "Diffusers",
    "SENTENCE_TRANSFORMERS": "Sentence Transformers", "PEFT": "PEFT adapter", "PYTORCH": "PyTorch", "OPENAI": "OpenAI API",
    "OPENVINO": "OpenVINO", "TENSORFLOW": "TensorFlow", "TFLITE": "TensorFlow Lite", "COREML": "Core ML", "CTRANSLATE2": "CTranslate2",
    "MLX": "MLX", "TENSORRT": "TensorRT", "HUGGINGFACE": "Hugging Face", "PLUGIN": "Plugin", "UNKNOWN": "Unknown",
}  # fmt: skip

FORMATS = {
    "safetensors": "safetensors", "gguf": "GGUF", "ggml": "GGML", "onnx": "ONNX", "pytorch": "PyTorch", "openvino": "OpenVINO",
    "tensorflow": "TensorFlow", "keras": "Keras", "tflite": "TensorFlow Lite", "flax": "Flax", "coreml": "Core ML",
    "ctranslate2": "CTranslate2", "tensorrt": "TensorRT", "nemo": "NeMo", "rust": "rust-bert",
}  # fmt: skip

#: Parameter of the Models page that bounds a number → its words.
BOUNDS = {
    "min_params": "Parameters from", "max_params": "Parameters up to", "min_context": "Context from", "max_context": "Context up to",
    "min_size": "Size from", "max_size": "Size up to", "min_memory": "Memory from", "max_memory": "Memory up to",
}  # fmt: skip

#: Status → word and tone.
STATUSES = {
    "READY": ("Ready", "ok"), "INCOMPLETE": ("Incomplete", "warn"), "CORRUPT": ("Corrupt", "bad"), "UNSAFE": ("Unsafe", "bad"),
    "MISSING": ("Missing", "warn"), "REMOTE": ("Remote", "plain"),
}  # fmt: skip

#: State of a scan → tone.
STATES = {
    "queued": "plain",
    "running": "accent",
    "done": "ok",
    "cancelled": "warn",
    "failed": "bad",
    "interrupted": "warn",
}

LEVELS = {"info": ("Info", "plain"), "warning": ("Warning", "warn"), "error": ("Error", "bad")}

#: What a scan did to a model, and how two scans differ → tone.
EVENTS = {
    "new": "ok", "changed": "accent", "back": "ok", "moved": "accent", "missing": "warn", "skipped": "plain", "added": "ok", "gone": "warn",
}  # fmt: skip

#: Severity of a problem → word and tone.
SEVERITIES = {"error": ("Error", "bad"), "warning": ("Warning", "warn")}

#: Outcome of a check → word and tone.
OUTCOMES = {
    "failed": ("Failed", "bad"),
    "warning": ("Warning", "warn"),
    "passed": ("Passed", "ok"),
    "skipped": ("Skipped", "plain"),
}

#: Result of a test load → word and tone.
LOADS = {
    "passed": ("Loads", "ok"),
    "failed": ("Does not load", "bad"),
    "unsupported": ("Cannot be tried", "plain"),
    "refused": ("Refused", "warn"),
}

#: The checks of a validation, as people say them.
CHECKS = {
    "path_readable": "Files can be read", "config_present": "Configuration is there", "config_parses": "Configuration is valid",
    "weights_present": "Weights are there", "shards_complete": "All parts are there", "header_parses": "Headers are valid",
    "size_matches_header": "Files are whole", "tensor_bounds": "Tensors lie inside", "dtype_known": "Number type is known",
    "tokenizer_present": "Tokenizer is there", "tokenizer_matches_vocab": "Tokenizer fits the model", "pickle_safe": "Pickles are safe",
    "no_remote_code": "No code of its own", "external_data_inside": "Nothing outside its folder", "license_present": "License is known",
    "naming_convention": "Name follows the convention", "card_present": "Model card is there", "checksum": "Checksums agree",
}  # fmt: skip

_AGAIN = "Download the file again, then scan."

#: Problem code → what to do.
ADVICE = {
    "file_empty": _AGAIN,
    "lfs_pointer": "Run “git lfs pull” in the model's folder, or download the file again; then scan.",
    "shards_missing": "Download the missing files into the same folder, then scan.",
    "truncated": "The download broke off: resume it or download the file again, then scan.",
    "invalid_header": _AGAIN,
    "not_this_format": "Look at what the file really is: often a saved web page or a renamed file. Download it again, then scan.",
    "file_unreadable": "Give the user that runs Karen Admin the right to read it, then scan.",
    "folder_unreadable": "Give the user that runs Karen Admin the right to read it, then scan.",
    "external_data_missing": "Put the data file back beside the ONNX file, under the name that the ONNX file gives, then scan.",
    "external_data_outside": "Do not load this file. Export the model again with its data in the same folder.",
    "tensors_missing": "Download the weight files and their index from the same revision again, then scan.",
    "weights_missing": "Download the weight files into this folder, then scan.",
    "blob_missing": "Pull the model again with Ollama, then scan.",
    "unsafe_pickle": "Do not load this file. Get the model as safetensors, or from a source you trust.",
    "unsafe_import": "Do not load this file. Get the model as safetensors, or from a source you trust.",
    "pickle_in_disguise": "Do not load this file. Get the model from a source you trust.",
    "lambda_layer": "Do not load this model unless you trust who made it: loading it runs its code.",
    "archive_unchecked": "Unpack it where nothing can be harmed, or get the model as safetensors.",
    "archive_tampered": "Do not unpack or load this file. Get the model from a source you trust.",
    "unknown_import": "Find out what the class does and who wrote it before you load this file; safetensors needs no such trust.",
    "remote_code": "Read that code before you let a program trust it, or use a model that needs none.",
    "unsafe_template": "Do not serve this model with its template: replace the template, or get the model from a source you trust.",
    "odd_template": "Look at the template before you serve the model with it.",
    "python_op": "Do not load this model unless you trust who made it: it calls Python functions of its own.",
    "file_op": "Find out which files it means before you serve the model.",
    "graph_unchecked": "Look at the graph with TensorFlow's own tools before you trust it.",
    "torchscript_code": "Loading a TorchScript program runs it: trust its author before you do.",
    "config_invalid": "Mend the file or download it again, then scan.",
    "config_wrong_type": "Correct the value in the file, then scan.",
    "sidecar_invalid": "Mend the file or download it again, then scan.",
    "index_invalid": "Download the index again from the same revision as the weights, then scan.",
    "index_outside": "Do not load this model. Download its index again from a source you trust.",
    "metadata_invalid": "Correct metadata.json, then scan.",
    "card_invalid": "Correct the front matter of README.md, then scan.",
    "link_dangling": "Restore the file that the link points to, or remove the link.",
    "link_leaves_root": "Move the files below the root, or make the place they are in a root of its own.",
    "format_unknown": "Trust its author, or keep it in a format that can be read, such as safetensors or GGUF.",
    "unknown_tensor_type": "Update Karen Admin, or use a more common quantization.",
    "model_missing": "Put the files back and scan, or forget the model if it is gone for good.",
    "checksum_mismatch": "The file is not what was published: download it again, then validate deeply.",
    "checksum_list_invalid": "Correct the list of checksums, or remove it if it belongs to something else; then validate deeply.",
    "bit_rot": "The bytes changed while size and time did not: the disk may be failing. Restore the file from a backup, and check the disk.",
    "nonfinite_weights": "Weights that are no numbers make every answer wrong: get the file again, or tell its author.",
    "load_failed": "Read the reason, then check the file, or the version of the library that loads it.",
    "internal_error": "Nothing is wrong with the file as far as is known: report the error, with the line of the log.",
    "tensor_invalid": _AGAIN,
    "tensor_bounds": _AGAIN,
    "invalid_pickle": _AGAIN,
    "trailing_data": "Look at what follows: nothing that loads the file needs it.",
    "external_data_invalid": "Export the model again: its file and its data do not belong together.",
    "opset_missing": _AGAIN,
    "root_model_missing": "Export the package again: its manifest is not whole.",
    "unknown_layout": "Convert the model to GGUF to learn more about it.",
    "dtype_unknown": "Update Karen Admin, or export the model again with a more common type.",
    "config_contradicts": "Find out which of the two is right, and mend or remove the other; then scan.",
    "not_a_file": "Put a file in its place, or remove it; then scan.",
    "file_missing": "Put the file back, or scan so that the registry follows the disk.",
}

#: Name, or suffix with its dot → what such a file is.
FILE_KINDS = {
    "config.json": "configuration", "generation_config.json": "generation settings", "model_index.json": "pipeline index",
    "adapter_config.json": "adapter configuration", "preprocessor_config.json": "preprocessor", "processor_config.json": "preprocessor",
    "tokenizer.json": "tokenizer", "tokenizer_config.json": "tokenizer", "special_tokens_map.json": "tokenizer", "added_tokens.json": "tokenizer",
    "vocab.json": "tokenizer", "vocab.txt": "tokenizer", "merges.txt": "tokenizer", "tokenizer.model": "tokenizer", "spiece.model": "tokenizer",
    "sentencepiece.bpe.model": "tokenizer", "chat_template.json": "chat template", "chat_template.jinja": "chat template", "modules.json": "modules",
    "metadata.json": "metadata", "readme.md": "model card", "license": "license", "license.txt": "license", "license.md": "license",
    "params.json": "configuration", ".json": "JSON", ".md": "text", ".txt": "text", ".py": "Python code", ".png": "picture", ".jpg": "picture",
    ".jpeg": "picture", ".gif": "picture", ".webp": "picture", ".svg": "picture", ".yaml": "YAML", ".yml": "YAML", ".xml": "XML",
    ".jinja": "template", ".model": "tokenizer", ".pdf": "document", ".csv": "table", ".bin": "data", ".onnx_data": "weights, external data",
    ".data": "weights, external data",
}  # fmt: skip

#: The surface that a change came through.
THROUGH = {
    "page": "Page",
    "api": "API",
    "admin": "Admin",
    "import": "Import",
    "command": "Command",
    "scan": "Scan",
}

#: What a report finds lacking → how its filter is called.
LACKING = {
    "description": "No description", "license": "No license", "capabilities": "No capabilities", "resource_requirements": "No requirements",
    "performance_metrics": "No performance", "language_support": "No languages", "naming": "Unusual name",
}  # fmt: skip

AXES = {"primary": "Category", "secondary": "Use", "specialization": "Domain"}

#: What a category holds, for people who choose among rules.
CATEGORY_HINTS = {
    "LANGUAGE": "text in, text out", "VISION": "pictures and video", "AUDIO": "sound and speech", "MULTIMODAL": "takes several kinds at once",
    "CHAT": "made to converse", "CODE": "writes and explains programs", "REASONING": "thinks step by step, mathematics",
    "CREATIVE": "makes pictures, sound, stories", "ANALYSIS": "embeds, classifies, detects, transcribes",
    "MEDICAL": "medicine and biology of people", "LEGAL": "law", "TECHNICAL": "software and engineering", "SCIENTIFIC": "science and mathematics",
    "GENERAL": "what no domain claims",
}  # fmt: skip

#: Where a word stands → how that is said.
PLACES = {
    "name": "the name", "tags": "the tags", "base model": "the base model’s name", "title": "the card’s title", "folder": "the folder’s name",
    "description": "the description", "card": "the card",
}  # fmt: skip

#: Facts of structure that rules may ask for.
SIGNALS = {
    "chat_template": "a chat template", "tools": "a chat template with tools", "sentence_transformers": "a Sentence Transformers pipeline",
    "pooling": "a pooling layer", "diffusers": "a Diffusers pipeline", "tensors:diffusion": "tensors of a diffusion model",
    "lora": "a LoRA adapter", "tokenizer": "a tokenizer", "text_conditioned": "text conditioning", "tensors:text": "tensors of a text model",
    "tensors:image": "tensors of an image model", "tensors:audio": "tensors of an audio model", "processor:image": "an image processor",
    "processor:audio": "an audio processor",
}  # fmt: skip

#: Families whose name is not simply written with a capital.
FAMILIES = {
    "gpt": "GPT", "gpt_neox": "GPT-NeoX", "bert": "BERT", "roberta": "RoBERTa", "xlm": "XLM", "albert": "ALBERT", "distilbert": "DistilBERT",
    "modernbert": "ModernBERT", "deberta": "DeBERTa", "mpnet": "MPNet", "opt": "OPT", "mpt": "MPT", "clip": "CLIP", "siglip": "SigLIP",
    "vit": "ViT", "resnet": "ResNet", "convnext": "ConvNeXt", "deepseek": "DeepSeek", "chatglm": "ChatGLM", "glm": "GLM", "internlm": "InternLM",
    "internvl": "InternVL", "llava": "LLaVA", "rwkv": "RWKV", "smollm": "SmolLM", "hubert": "HuBERT", "wavlm": "WavLM", "minicpm": "MiniCPM",
    "minicpmv": "MiniCPM-V", "starcoder": "StarCoder", "codegen": "CodeGen", "bart": "BART", "mbart": "mBART", "olmo": "OLMo", "exaone": "EXAONE",
    "lfm": "LFM", "dinov": "DINO", "wav": "wav2vec", "sam": "SAM", "detr": "DETR", "yolos": "YOLOS", "nllb": "NLLB", "led": "LED",
}  # fmt: skip

#: Licenses that models often come under, as cards write them.
LICENSES = (
    "apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "gpl-3.0", "agpl-3.0", "lgpl-3.0", "mpl-2.0", "unlicense", "cc0-1.0", "cc-by-4.0",
    "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0", "openrail", "openrail++", "creativeml-openrail-m", "bigscience-openrail-m",
    "bigscience-bloom-rail-1.0", "bigcode-openrail-m", "llama2", "llama3", "llama3.1", "llama3.2", "llama3.3", "llama4", "gemma", "deepseek",
    "other",
)  # fmt: skip

RELATIONS = {
    "finetune": "Fine-tune",
    "adapter": "Adapter",
    "quantized": "Quantized",
    "merge": "Merge",
}


def family_name(name: str) -> str:
    """``llama`` → ``Llama``, ``gpt`` → ``GPT``; what people wrote themselves stays as it is."""
    return FAMILIES.get(name) or (name.capitalize() if name.islower() else name)


def listed(items: Sequence[str], last: str = "and", limit: int = 0) -> str:
    """``a, b and c``; past ``limit`` the rest is counted: ``a, b and 23 more``."""
    if limit and len(items) > limit + 1:
        return f"{', '.join(items[:limit])} {last} {len(items) - limit:,} more"
    return f"{', '.join(items[:-1])} {last} {items[-1]}" if len(items) > 1 else "".join(items)


def signal(name: str) -> str:
    """``library:setfit`` → ``the library setfit``; a fact without a word of its own stays as it is."""
    kind, _, rest = name.partition(":")
    named = {
        "library": "the library",
        "component": "the component",
        "config": "the config section",
        "key": "the config key",
        "task": "the task",
    }
    return SIGNALS.get(name) or (f"{named[kind]} {rest}" if kind in named and rest else name)


def flow(inputs: Sequence[str], outputs: Sequence[str]) -> str:
    """``text, image → text``; what gives neither text, pictures nor sound gives numbers."""
    if not inputs and not outputs:
        return ""
    return (
        f"{', '.join(inputs).lower() or '–'} → {', '.join(outputs).lower() or 'vectors or labels'}"
    )


def evidence(rule: str, matched: str, where: str) -> str:
    """One piece of evidence as people say it: ``“chat” in the name``, ``class name LlamaForCausalLM``, ``takes text, gives text``."""
    kind = rule.partition(" ")[0]
    if kind == "keywords":
        return f"“{matched}” in {PLACES.get(where, where)}"
    if kind == "tags":
        return f"tag “{matched}”"
    if kind == "signals":
        return signal(matched)
    if kind == "modalities":
        takes, _, gives = matched.partition(" → ")
        parts = [] if takes in ("", "–") else [f"takes {listed(takes.split(', '))}"]
        return ", ".join([*parts, *([f"gives {listed(gives.split(', '))}"] if gives else [])])
    named = {
        "architectures": "class name",
        "model_types": "model type",
        "pipeline_tags": "pipeline_tag",
        "file_patterns": "file",
    }
    return f"{named[kind]} {matched}" if kind in named else matched
