"""Transformers models as programs load them: config, tokenizer, and with torch the model itself.

The weights are loaded for real where they fit. Where they do not, the model is built on the meta
device (shapes without data) and its weight files are read on their own. Code in the folder is never
run (``trust_remote_code=False``), nothing is looked up elsewhere. Source:
https://huggingface.co/docs/transformers/main_classes/model
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from discovery.engine.core.text import plural
from discovery.engine.core.types import Header
from discovery.loading import weights
from discovery.loading.errors import LoadFailed, Unsupported
from discovery.loading.job import Job
from discovery.loading.libraries import expect_current, install_command, installed, library, version
from discovery.loading.loaders import pytorch, safetensors

NAME = "transformers"
CONFIG = "config.json"

_TOKENIZERS = (
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "vocab.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
)
#: No network, no code from the folder.
_LOCAL = {"local_files_only": True, "trust_remote_code": False}


def load(job: Job) -> str:
    folder = weights.home(job, CONFIG)
    assert folder is not None  # what chose this loader
    files = weights.each(job)
    # Transformers imports it by itself.
    if installed("torch"):
        expect_current("torch")
    transformers = library("transformers")
    transformers.utils.logging.disable_progress_bar()
    config = _understood(lambda: transformers.AutoConfig.from_pretrained(folder, **_LOCAL))
    told = [
        f"{version(transformers)} read the config of a {config.model_type} model",
        _tokenizer(transformers, folder),
    ]
    if not installed("torch"):
        told.append(
            f"{_weights(files, job)}. To load the model as well: {install_command('torch')}"
        )
    elif getattr(config, "quantization_config", None):
        told.append(
            f"{_weights(files, job)}. Quantized models need kernels of their own: it was not put"
            " together."
        )
    else:
        told.append(_model(transformers, folder, config, files, job))
    return "; ".join(text for text in told if text)


def _understood(read: Any) -> Any:
    """What ``read`` gives.

    Raises ``Unsupported`` where Transformers would need other code than its own.
    """
    try:
        return read()
    except ImportError as error:
        raise Unsupported(
            f"Transformers needs another library for it: {' '.join(str(error).split())[:300]}"
        ) from error
    except (ValueError, KeyError) as error:
        words = " ".join(str(error).split())
        if "trust_remote_code" in words:
            raise Unsupported(
                "It needs Python code from its own folder, which is never run here."
            ) from error
        if "does not recognize this architecture" in words:
            raise Unsupported(
                f"This version of Transformers does not know the architecture: {words[:200]}"
            ) from error
        raise


def _tokenizer(transformers: Any, folder: str) -> str:
    if not any(os.path.isfile(os.path.join(folder, name)) for name in _TOKENIZERS):
        return ""
    tokenizer = _understood(lambda: transformers.AutoTokenizer.from_pretrained(folder, **_LOCAL))
    return (
        f"its tokenizer makes {plural(len(tokenizer('Does it load here?')['input_ids']), 'token')}"
        " of a sentence"
    )


def _weights(files: Sequence[tuple[str, Header]], job: Job) -> str:
    """Read the weight files on their own."""
    if all(header.format == "safetensors" for _, header in files):
        return f"{safetensors.touch_all(files)} were read"
    torch = library("torch")
    count = sum(pytorch.load_file(torch, path, job)[0] for path, _ in files)
    return f"all {plural(count, 'tensor')} were read"


def _model(
    transformers: Any, folder: str, config: Any, files: Sequence[tuple[str, Header]], job: Job
) -> str:
    torch = library("torch")
    torch.set_num_threads(1)
    architecture = next(
        (getattr(transformers, name, None) for name in config.architectures or ()), None
    )
    if not pytorch.fits(job):
        auto = architecture._from_config if architecture else transformers.AutoModel.from_config
        with torch.device("meta"):
            model = _understood(lambda: auto(config))
        return (
            f"{_parameters(model)} built without data, for the memory is too small;"
            f" {_weights(files, job)}"
        )
    options = {
        "config": config,
        "dtype": "auto",
        "use_safetensors": files[0][1].format == "safetensors",
        **_LOCAL,
    }
    # Shapes that differ are told below, each with its name, where the library would only say that
    # there are some.
    told = {"output_loading_info": True, "ignore_mismatched_sizes": True}
    model, info = _understood(
        lambda: (architecture or transformers.AutoModel).from_pretrained(folder, **options, **told)
    )
    return f"{_parameters(model)} loaded{_complaints(info, len(model.state_dict()))}"


def _parameters(model: Any) -> str:
    return (
        f"{type(model).__name__} of {sum(parameter.numel() for parameter in model.parameters()):,}"
        " parameters"
    )


def _complaints(info: dict[str, Any], total: int) -> str:
    """Return a warning about missing or surplus weights.

    Transformers fills missing weights with noise and ignores surplus ones.

    Raises ``LoadFailed`` where the files hold another model than the config describes: other
    shapes, or less than half of ``total`` weights.
    """
    if mismatched := sorted(info.get("mismatched_keys") or ()):
        name, there, wanted = mismatched[0]
        shapes = f"{name} is {list(there)} in the files and {list(wanted)} by the config"
        raise LoadFailed(
            f"{plural(len(mismatched), 'weight')} of another shape than the config says, such as"
            f" {shapes}."
        )
    lacking, spare = (
        sorted(info.get("missing_keys") or ()),
        sorted(info.get("unexpected_keys") or ()),
    )
    if len(lacking) * 2 > total:
        raise LoadFailed(
            f"The files hold {total - len(lacking):,} of the {total:,} weights of the model that"
            " the config describes."
        )
    told = (
        [f"{plural(len(lacking), 'weight')} not in the files, such as {lacking[0]}"]
        if lacking
        else []
    )
    told += (
        [f"{plural(len(spare), 'weight')} of the files not used, such as {spare[0]}"]
        if spare
        else []
    )
    return f" ({'; '.join(told)})" if told else ""
