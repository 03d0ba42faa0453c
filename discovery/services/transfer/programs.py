"""Configuration files of programs that serve models, for any number of models.

Each format leaves out the models that its program cannot serve, and says how many at the end. The
files are put together a model at a time, so that memory stays flat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import yaml

from discovery.engine.core.vocabulary import ModelType
from discovery.engine.identify.model_ids import slug
from discovery.models import RegisteredModel, RegisteredModelQuerySet
from discovery.services.access.redaction import Sight
from discovery.services.core.shell import typed
from discovery.services.insight import snippets
from discovery.services.transfer.batches import batches

#: Where LiteLLM finds the server that runs the models of this disk.
BASE_VARIABLE = "LOCAL_MODELS_API_BASE"

#: A model's part of a file; ``None`` where the program cannot serve it.
_Part = Callable[[RegisteredModel], str | None]

_SHELL_HEAD = "#!/bin/sh\nset -eu\n"


def ollama(rows: RegisteredModelQuerySet, sight: Sight | None = None) -> Iterator[str]:
    """Yield a Modelfile for one model, else a script that creates each model in Ollama.

    Format: https://docs.ollama.com/modelfile
    """
    if rows.count() == 1:
        yield from _parts(rows, sight, _modelfile, "Ollama is given GGUF files only")
        return
    yield f"{_SHELL_HEAD}folder=$(mktemp -d)\ntrap 'rm -r \"$folder\"' EXIT\n"
    yield from _parts(rows, sight, _ollama_create, "Ollama is given GGUF files only")


def llama_swap(rows: RegisteredModelQuerySet, sight: Sight | None = None) -> Iterator[str]:
    """Yield a config.yaml of llama-swap: GGUF files by llama-server, folders by vLLM."""
    yield "models:\n"
    yield from _parts(
        rows, sight, _swapped, "llama-server and vLLM do not serve them", none="  {}\n"
    )


def litellm(rows: RegisteredModelQuerySet, sight: Sight | None = None) -> Iterator[str]:
    """Yield a config.yaml of the LiteLLM proxy.

    Models of the disk are expected behind one server that speaks OpenAI's protocol and calls them
    by their IDs, whose address is in the environment variable ``LOCAL_MODELS_API_BASE``.
    """
    yield (
        f"# Set {BASE_VARIABLE} to the address of the server that runs the models of this disk,\n"
        "# such as http://127.0.0.1:8080/v1 of llama-swap.\nmodel_list:\n"
    )
    yield from _parts(rows, sight, _proxied, "no server offers them as chat or embeddings")


def vllm(rows: RegisteredModelQuerySet, sight: Sight | None = None) -> Iterator[str]:
    """Yield a ``--config`` file of ``vllm serve`` for one model, else a script that serves one of
    the models by its ID.
    """
    why = "vLLM serves folders of Transformers models that write text"
    if rows.count() == 1:
        yield from _parts(rows, sight, _vllm_config, why)
        return
    yield (
        f"{_SHELL_HEAD}# Serves one model: give its ID, then any options of vllm serve.\n"
        'case "${1:-}" in\n'
    )
    yield from _parts(rows, sight, _vllm_case, why)
    yield (
        "*) echo \"There is no model '${1:-}' in this file. Give one of its IDs.\" >&2; exit 2 ;;\n"
        'esac\nname=$1\nshift\nexec vllm serve "$model" --served-model-name "$name" "$@"\n'
    )


def localai(rows: RegisteredModelQuerySet, sight: Sight | None = None) -> Iterator[str]:
    """Yield a list of model configurations, as LocalAI reads with ``--models-config-file``."""
    yield from _parts(
        rows, sight, _local, "LocalAI is given GGUF files and text models only", none="[]\n"
    )


def mlflow(rows: RegisteredModelQuerySet, sight: Sight | None = None) -> Iterator[str]:
    """Yield a Python script that registers the models in MLflow's model registry."""
    yield _MLFLOW_HEAD
    yield from _parts(rows, sight, _registered, "their files are gone or unsafe")


def _parts(
    rows: RegisteredModelQuerySet, sight: Sight | None, part: _Part, why: str, none: str = ""
) -> Iterator[str]:
    """The parts of all models, and how many are left out because of ``why``."""
    sight, written, left = sight or Sight(None), 0, 0
    wanted = rows.select_related("root").defer("checks", "evidence", "problems", "memory_shape")
    for batch in batches(wanted):
        found = [text for record in batch if (text := part(sight.standing_in(record)))]
        written, left = written + len(found), left + len(batch) - len(found)
        yield "".join(found)
    if not written:
        yield none
    if left:
        yield f"# {left} {'model is' if left == 1 else 'models are'} left out: {why}.\n"


def _modelfile(record: RegisteredModel) -> str | None:
    if (files := _for_ollama(record)) is None:
        return None
    lines = [f"FROM {path}\n" for path in files if path]
    return "".join(lines) + f"PARAMETER num_ctx {snippets.context_of(record)}\n"


def _ollama_create(record: RegisteredModel) -> str | None:
    if (text := _modelfile(record)) is None:
        return None
    lines = " ".join(typed(line) for line in text.splitlines())
    return (
        f"printf '%s\\n' {lines} > \"$folder/Modelfile\"\n"
        f'ollama create {typed(slug(record.model_id))} -f "$folder/Modelfile"\n'
    )


def _for_ollama(record: RegisteredModel) -> tuple[str, str] | None:
    """A path with a line break cannot stand in a Modelfile."""
    files = snippets.gguf_files(record)
    return None if files is None or any("\n" in path for path in files) else files


def _swapped(record: RegisteredModel) -> str | None:
    if (command := _server(record)) is None:
        return None
    return _indented({record.model_id: {"cmd": command, "name": record.title}}, 2)


def _server(record: RegisteredModel) -> str | None:
    """The command that serves the model at ``${PORT}``, which llama-swap puts in."""
    if files := snippets.gguf_files(record):
        model, eyes = (typed(path) for path in files)
        options = f" --mmproj {eyes}" if files[1] else ""
        options += (
            " --embeddings" if snippets.embeds(record) else f" -c {snippets.context_of(record)}"
        )
        return f"llama-server --port ${{PORT}} -m {model}{options}"
    if folder := snippets.vllm_folder(record):
        name = typed(record.model_id)
        return f"vllm serve {typed(folder)} --port ${{PORT}} --served-model-name {name}"
    return None


def _proxied(record: RegisteredModel) -> str | None:
    if record.type == ModelType.OPENAI:
        parameters = _hosted(record)
    elif _server(record) is not None:
        parameters = {
            "model": f"openai/{record.model_id}",
            "api_base": f"os.environ/{BASE_VARIABLE}",
            "api_key": "none",
        }
    else:
        return None
    if parameters is None:
        return None
    entry: dict[str, Any] = {"model_name": record.model_id, "litellm_params": parameters}
    entry["model_info"] = {"mode": "embedding" if snippets.embeds(record) else "chat"}
    if record.context_length:
        entry["model_info"]["max_input_tokens"] = record.context_length
    return _indented([entry], 2)


def _hosted(record: RegisteredModel) -> dict[str, str] | None:
    endpoint, variable = snippets.endpoint_of(record)
    if not endpoint:
        return None
    key = f"os.environ/{variable}" if variable else "none"
    return {"model": f"openai/{record.name}", "api_base": endpoint, "api_key": key}


def _vllm_config(record: RegisteredModel) -> str | None:
    if (folder := snippets.vllm_folder(record)) is None:
        return None
    return _yaml({"model": folder, "served-model-name": record.model_id})


def _vllm_case(record: RegisteredModel) -> str | None:
    if (folder := snippets.vllm_folder(record)) is None:
        return None
    return f"{typed(record.model_id)}) model={typed(folder)} ;;\n"


def _local(record: RegisteredModel) -> str | None:
    entry: dict[str, Any] = {"name": record.model_id}
    if files := snippets.gguf_files(record):
        entry |= {"backend": "llama-cpp", "parameters": {"model": files[0]}}
        entry |= {"mmproj": files[1]} if files[1] else {}
        entry["context_size"] = snippets.context_of(record)
    elif folder := snippets.vllm_folder(record):
        entry |= {"backend": "vllm", "parameters": {"model": folder}}
    else:
        return None
    if snippets.embeds(record):
        entry["embeddings"] = True
    return _yaml([entry])


def _registered(record: RegisteredModel) -> str | None:
    if snippets.why_none(record) or record.type == ModelType.OPENAI:
        return None
    tags = {
        "type": record.type,
        "format": record.format,
        "license": record.license,
        "architecture": record.architecture,
        "parameters": record.parameter_count,
        "fingerprint": record.fingerprint,
    }
    written = {name: str(value) for name, value in tags.items() if value}
    source = snippets.absolute(record, snippets.folder(record))
    return f"register({record.model_id!a}, {record.title!a}, {source!a}, {written!a})\n"


def _yaml(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1_000_000)


def _indented(value: Any, spaces: int) -> str:
    """YAML below a key that a line before it names."""
    return "".join(f"{' ' * spaces}{line}\n" for line in _yaml(value).splitlines())


_MLFLOW_HEAD = '''"""Registers models in MLflow; set MLFLOW_TRACKING_URI to its address."""

import pathlib

from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

client = MlflowClient()


def register(name, title, source, tags):
    """A model that is registered already gets a new version only when its files are others."""
    try:
        client.create_registered_model(name, description=title)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    known = client.search_model_versions(f"name='{name}'")
    if any(version.tags.get("fingerprint") == tags["fingerprint"] for version in known):
        return
    client.create_model_version(name, pathlib.Path(source).absolute().as_uri(), tags=tags)


'''
