"""What a file probably is, by its name."""

from __future__ import annotations

from discovery.engine.core import format_registry, names

#: Name, or suffix with its dot → what such a file is.
FILE_KINDS = {
    "config.json": "configuration", "generation_config.json": "generation settings",
    "model_index.json": "pipeline index",
    "adapter_config.json": "adapter configuration", "preprocessor_config.json": "preprocessor",
    "processor_config.json": "preprocessor",
    "tokenizer.json": "tokenizer", "tokenizer_config.json": "tokenizer",
    "special_tokens_map.json": "tokenizer", "added_tokens.json": "tokenizer",
    "vocab.json": "tokenizer", "vocab.txt": "tokenizer", "merges.txt": "tokenizer",
    "tokenizer.model": "tokenizer", "spiece.model": "tokenizer",
    "sentencepiece.bpe.model": "tokenizer", "chat_template.json": "chat template",
    "chat_template.jinja": "chat template", "modules.json": "modules",
    "metadata.json": "metadata", "readme.md": "model card", "license": "license",
    "license.txt": "license", "license.md": "license",
    "params.json": "configuration", ".json": "JSON", ".md": "text", ".txt": "text",
    ".py": "Python code", ".png": "picture", ".jpg": "picture",
    ".jpeg": "picture", ".gif": "picture", ".webp": "picture", ".svg": "picture", ".yaml": "YAML",
    ".yml": "YAML", ".xml": "XML",
    ".jinja": "template", ".model": "tokenizer", ".pdf": "document", ".csv": "table",
    ".bin": "data", ".onnx_data": "weights, external data",
    ".data": "weights, external data",
}  # fmt: skip


def file_kind(path: str) -> str:
    name = path.rpartition("/")[2].lower()
    if kind := names.weight_format(name):
        return f"weights, {format_registry.label(kind)}"
    if name in FILE_KINDS:
        return FILE_KINDS[name]
    suffix = name.rpartition(".")[2] if "." in name else ""
    return FILE_KINDS.get(f".{suffix}", "")
