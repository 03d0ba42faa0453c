"""Commands and code for the programs that run a model, ready to paste.

They fit its type and format and have the right path, quoted as one word.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any

from discovery.engine.core import names
from discovery.engine.core.paths import to_native
from discovery.engine.core.vocabulary import ModelType, Status
from discovery.engine.identify.model_ids import slug
from discovery.models import RegisteredModel
from discovery.services.core.shell import typed
from discovery.services.insight import usage_python
from discovery.services.machine import reach

SHELL, PYTHON = "shell", "python"

_TEXT_MODELS = (ModelType.TRANSFORMERS, ModelType.HUGGINGFACE)
#: Context that a local program is told to reserve memory for, where the model takes as much.
_CONTEXT = 8_192


@dataclass(frozen=True, slots=True)
class Usage:
    """One way to run a model.

    ``text`` is ready to copy; ``needs`` says what has to be installed.
    """

    program: str
    language: str
    text: str
    needs: str


def why_none(record: RegisteredModel) -> str:
    """Return why the model should not or cannot be run; empty where it can."""
    if record.status == Status.UNSAFE:
        return "Loading this model would run code of its own, so no lines are given."
    if record.status == Status.MISSING:
        return "Its files are not where they used to be."
    if record.status != Status.REMOTE and not record.variants:
        return "Its weights are not on the disk."
    return ""


def usages(record: RegisteredModel, base: RegisteredModel | None = None) -> list[Usage]:
    """The lines that fit, its own program's first.

    ``base`` is the registered model that an adapter belongs to.
    """
    if why_none(record):
        return []
    if record.type == ModelType.OPENAI:
        return _hosted(record)
    found: list[Usage] = []
    home = absolute(record, folder(record))
    main = _main(record)
    for program, needs, text in usage_python.lines(
        record, home, absolute(record, main["path"]), _base_path(base)
    ):
        found.append(Usage(program, PYTHON, text, needs))
    if served := vllm_folder(record):
        found.append(
            Usage(
                "vLLM",
                SHELL,
                f"vllm serve {typed(served)} --served-model-name {typed(record.model_id)}",
                "pip install vllm",
            )
        )
    if record.type == ModelType.MLX:
        found.append(
            Usage("MLX", SHELL, f"mlx_lm.chat --model {typed(home)}", "pip install mlx-lm")
        )
    gguf = _first(record, "gguf")
    found += _ollama_store(record) or (_llama_cpp(record, gguf) if gguf else [])
    onnx = _first(record, "onnx")
    if onnx:
        path = next(
            (path for path in onnx.get("files", ()) if path.endswith((".onnx", ".ort"))),
            onnx["path"],
        )
        found.append(
            Usage(
                "ONNX Runtime",
                PYTHON,
                usage_python.onnxruntime(absolute(record, path)),
                "pip install onnxruntime",
            )
        )
    own = {
        ModelType.LLAMA_CPP: "llama.cpp",
        ModelType.ONNX: "ONNX Runtime",
        ModelType.MLX: "MLX",
    }.get(ModelType(record.type))
    return sorted(found, key=lambda usage: usage.program != own) if own else found


def vllm_folder(record: RegisteredModel) -> str | None:
    """The absolute folder that vLLM serves the model from; ``None`` where it does not."""
    if why_none(record) or record.type not in _TEXT_MODELS or not _writes(record):
        return None
    if _main(record)["format"] not in ("safetensors", "pytorch"):
        return None
    return absolute(record, folder(record))


def gguf_files(record: RegisteredModel) -> tuple[str, str] | None:
    """The absolute paths of the GGUF file that llama.cpp serves, and of its projector (or ``""``).

    ``None`` where it serves none: there is no GGUF, or one that runs inside of something else.
    """
    if why_none(record) or record.type == ModelType.OPENAI:
        return None
    variant = _first(record, "gguf")
    if variant is None or not _runs_alone(record):
        return None
    eyes = _projector(record)
    return absolute(record, _first_shard(variant)), absolute(record, eyes) if eyes else ""


def embeds(record: RegisteredModel) -> bool:
    """Whether a server offers the model for embeddings and not for chat."""
    able = set(record.value("capabilities") or ())
    return "EMBEDDING" in able and "CHAT" not in able


def endpoint_of(record: RegisteredModel) -> tuple[str, str]:
    """The address of a hosted model, and the environment variable with its key, or ``""`` each."""
    endpoint = str(record.value("endpoint") or "").rstrip("/")
    return endpoint, str(record.value("api_key_variable") or "")


def context_of(record: RegisteredModel) -> int:
    """The tokens of context that a local program is told to reserve memory for."""
    return min(record.context_length or _CONTEXT, _CONTEXT)


def _runs_alone(record: RegisteredModel) -> bool:
    """Whether a GGUF file is a model of its own: no adapter, no part of a pipeline."""
    inside = record.type in (ModelType.PEFT, ModelType.DIFFUSERS)
    return not inside and "part" not in record.signals.get("marks", ())


def _first_shard(variant: dict[str, Any]) -> str:
    """Of shards the first: llama.cpp finds the others."""
    return str(min(variant.get("files") or [variant["path"]]))


def _projector(record: RegisteredModel) -> str:
    """The path of a GGUF model's projector for images or audio; empty if it has none."""
    return next(
        (
            path
            for path, _ in record.files
            if names.is_projector(path.rpartition("/")[2]) and path.endswith(".gguf")
        ),
        "",
    )


def absolute(record: RegisteredModel, path: str) -> str:
    """Return ``path`` as an absolute path, as the system spells it.

    It is relative where the root is shown by its name (see services.access.redaction).

    Raises ``RootSilent`` where only the disk knows how it is spelled.
    """
    root = record.root.path
    if "\\x" not in root + path or not os.path.isabs(root):
        return os.path.join(root, path).removesuffix("/.")
    return reach.within(
        record.root, ("spelled", path), lambda: to_native(to_native("/", root), path)
    ).removesuffix("/.")


def folder(record: RegisteredModel) -> str:
    """Return the folder that a library loads the model from, relative to the root.

    It is the model's folder, or the main revision of a Hub cache.
    """
    main = _main(record)["path"]
    before, snapshots, after = f"/{main}".partition("/snapshots/")
    if snapshots and "/models--" in before:
        return f"{before}/snapshots/{after.partition('/')[0]}".lstrip("/")
    if record.path == "." or any(path.startswith(f"{record.path}/") for path, _ in record.files):
        return record.path
    return os.path.dirname(record.path) or "."


def _main(record: RegisteredModel) -> dict[str, Any]:
    main: dict[str, Any] = record.variants[0]
    return main


def _first(record: RegisteredModel, kind: str) -> dict[str, Any] | None:
    return next(
        (
            variant
            for variant in record.variants
            if variant["format"] == kind and variant["status"] == Status.READY
        ),
        None,
    )


def _base_path(base: RegisteredModel | None) -> str:
    return (
        absolute(base, folder(base))
        if base and base.variants and base.status == Status.READY
        else ""
    )


def _writes(record: RegisteredModel) -> bool:
    able = set(record.value("capabilities") or ())
    return bool(able & {"CHAT", "CODE", "GENERATION", "REASONING", "TOOL_USE"}) and not able & {
        "IMAGE_GENERATION",
        "VIDEO_GENERATION",
    }


def _llama_cpp(record: RegisteredModel, variant: dict[str, Any]) -> list[Usage]:
    model, needs = (
        typed(absolute(record, _first_shard(variant))),
        "llama.cpp, from https://github.com/ggml-org/llama.cpp",
    )
    able = set(record.value("capabilities") or ())
    if record.type == ModelType.PEFT:
        return [Usage("llama.cpp", SHELL, f"llama-cli -m base.gguf --lora {model}", needs)]
    if not _runs_alone(record):
        return []  # it runs inside of something else, or beside it
    if "RERANKING" in able:
        return [Usage("llama.cpp", SHELL, f"llama-server -m {model} --reranking", needs)]
    if "EMBEDDING" in able:
        return [Usage("llama.cpp", SHELL, f"llama-embedding -m {model} -p 'Some text'", needs)]
    length, eyes = context_of(record), _projector(record)
    projector = f" --mmproj {typed(absolute(record, eyes))}" if eyes else ""
    shell = (
        f"llama-server -m {model}{projector} -c {length} --port 8080"
        if eyes
        else f"llama-cli -m {model} -c {length}"
    )
    server = (
        ""
        if eyes
        else (
            "\n"
            "# or as a server that speaks OpenAI's protocol\n"
            f"llama-server -m {model} -c {length} --port 8080"
        )
    )
    name = typed(slug(record.model_id))
    modelfile = (
        "printf 'FROM %s\\n"
        f"' {model} > Modelfile\n"
        f"ollama create {name} -f Modelfile\n"
        f"ollama run {name}"
    )
    return [
        Usage("llama.cpp", SHELL, shell + server, needs),
        Usage("Ollama", SHELL, modelfile, "Ollama, from https://ollama.com"),
    ]


def _ollama_store(record: RegisteredModel) -> list[Usage]:
    """A model of Ollama's own store goes by its name and its first tag."""
    _, manifests, place = f"/{record.path}".partition("/manifests/")
    tag = next(
        (path for path, _ in record.files if manifests and path.startswith(f"{record.path}/")), ""
    )
    if not tag:
        return []
    parts = [part for part in place.split("/")[1:] if part != "library"]
    name = f"{'/'.join(parts)}:{tag.rpartition('/')[2]}"
    return [
        Usage(
            "Ollama",
            SHELL,
            f"ollama run {typed(name)}",
            "Ollama, with this store as its OLLAMA_MODELS",
        )
    ]


def _hosted(record: RegisteredModel) -> list[Usage]:
    endpoint, variable = endpoint_of(record)
    if not endpoint:
        return []
    embedding = embeds(record)
    body: dict[str, Any] = {"model": record.name}
    body |= (
        {"input": "Some text"}
        if embedding
        else {"messages": [{"role": "user", "content": "Hello"}]}
    )
    call = "embeddings" if embedding else "chat/completions"
    key = (
        f' \\\n  -H "Authorization: Bearer ${variable}"'
        if variable.isidentifier() and variable.isascii()
        else ""
    )
    sent = (
        f"curl {typed(f'{endpoint}/{call}')}{key} \\\n"
        "  -H 'Content-Type: application/json' \\\n"
        f"  -d {typed(json.dumps(body, ensure_ascii=True))}"
    )
    return [
        Usage("curl", SHELL, sent, ""),
        Usage(
            "OpenAI client",
            PYTHON,
            usage_python.openai(endpoint, record.name, variable, embeds=embedding),
            "pip install openai",
        ),
    ]
