"""Ready lines: the programs that fit a type and a format, the right path, and quoting that a shell
and Python read back.
"""

from __future__ import annotations

import ast
import json
import shlex
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from discovery.models import RegisteredModel, Root
from discovery.services.core.shell import typed
from discovery.services.insight import snippets
from discovery.services.insight.snippets import Usage

Make = Callable[..., RegisteredModel]


def model(
    make_model: Make, kind: str, form: str, *files: str, name: str = "m", **fields: Any
) -> RegisteredModel:
    """A model whose folder is ``m`` and whose variant has the first file; ``fields`` of the
    document are extracted ones.
    """
    columns = {
        key: fields.pop(key)
        for key in ("status", "path", "root", "signals", "architecture", "context_length")
        if key in fields
    }
    path = columns.pop("path", "m")
    listed = [f"{path}/{each}" for each in files] if path == "m" else list(files)
    main = listed[0] if listed else path
    item = {
        "name": form,
        "path": main,
        "format": form,
        "status": "READY",
        "size_bytes": 1,
        "files": listed[:1],
    }
    return make_model(
        name,
        path=path,
        extracted={"type": kind, "format": form, **fields},
        variants=[item],
        files=[[each, 1] for each in listed],
        **columns,
    )


def programs(record: RegisteredModel) -> list[str]:
    return [usage.program for usage in snippets.usages(record)]


def text(record: RegisteredModel, program: str, base: RegisteredModel | None = None) -> str:
    return next(usage.text for usage in snippets.usages(record, base) if usage.program == program)


def check(usage: Usage) -> None:
    """The lines are what their language can read."""
    if usage.language == snippets.PYTHON:
        ast.parse(usage.text)
    else:
        assert (
            subprocess.run(["sh", "-n"], input=usage.text, text=True, check=False).returncode == 0
        )


CASES = [
    (
        "TRANSFORMERS",
        "safetensors",
        ["model.safetensors", "config.json"],
        {"capabilities": ["CHAT"]},
        ["Transformers", "vLLM"],
    ),
    (
        "TRANSFORMERS",
        "safetensors",
        ["model.safetensors"],
        {"capabilities": ["EMBEDDING"]},
        ["Transformers"],
    ),
    ("TRANSFORMERS", "pytorch", ["pytorch_model.bin"], {}, ["Transformers"]),
    ("LLAMA_CPP", "gguf", ["m.gguf"], {"capabilities": ["CHAT"]}, ["llama.cpp", "Ollama"]),
    ("LLAMA_CPP", "gguf", ["m.gguf"], {"capabilities": ["EMBEDDING"]}, ["llama.cpp"]),
    ("ONNX", "onnx", ["model.onnx"], {}, ["ONNX Runtime"]),
    (
        "DIFFUSERS",
        "safetensors",
        ["unet/diffusion_pytorch_model.safetensors", "model_index.json"],
        {},
        ["Diffusers"],
    ),
    (
        "SENTENCE_TRANSFORMERS",
        "safetensors",
        ["model.safetensors", "modules.json"],
        {},
        ["Sentence Transformers"],
    ),
    ("PEFT", "safetensors", ["adapter_model.safetensors"], {}, ["PEFT"]),
    ("PYTORCH", "pytorch", ["best.pt"], {}, ["PyTorch"]),
    ("PYTORCH", "safetensors", ["x.safetensors"], {}, ["safetensors"]),
    ("OPENVINO", "openvino", ["model.xml"], {}, ["OpenVINO"]),
    (
        "CTRANSLATE2",
        "ctranslate2",
        ["model.bin"],
        {"capabilities": ["TRANSCRIPTION"]},
        ["CTranslate2"],
    ),
    ("TFLITE", "tflite", ["m.tflite"], {}, ["LiteRT"]),
    ("TENSORFLOW", "tensorflow", ["saved_model.pb"], {}, ["TensorFlow"]),
    ("TENSORFLOW", "keras", ["m.keras"], {}, ["Keras"]),
    ("MLX", "safetensors", ["model.safetensors"], {}, ["MLX"]),
    ("COREML", "coreml", ["m.mlmodel"], {}, ["Core ML"]),
    ("TENSORRT", "tensorrt", ["m.engine"], {}, []),
    ("FASTTEXT", "fasttext", ["lid.bin"], {}, ["fastText"]),
    ("WORD2VEC", "word2vec", ["news.vec"], {}, ["gensim"]),
    ("WHISPER_CPP", "ggml", ["ggml-tiny.bin"], {}, ["whisper.cpp"]),
    ("LLAMA_CPP", "ggml", ["old.bin"], {}, []),
    ("SKLEARN", "joblib", ["m.joblib"], {}, ["joblib"]),
    ("XGBOOST", "joblib", ["m.pkl"], {}, ["joblib"]),
    ("SKLEARN", "skops", ["m.skops"], {}, ["skops"]),
    ("XGBOOST", "xgboost", ["m.ubj"], {}, ["XGBoost"]),
    ("LIGHTGBM", "lightgbm", ["m.txt"], {}, ["LightGBM"]),
    ("CATBOOST", "catboost", ["m.cbm"], {}, ["CatBoost"]),
    ("SPACY", "spacy", ["meta.json"], {}, ["spaCy"]),
    ("KALDI", "kaldi", ["am/final.mdl"], {}, ["Vosk"]),
    ("TORCHSCRIPT", "torchscript", ["m.jit"], {}, ["PyTorch"]),
    ("PYTORCH", "torch_export", ["m.pt2"], {}, ["PyTorch"]),
    ("PYTORCH", "torchserve", ["m.mar"], {}, []),
    ("EXECUTORCH", "executorch", ["m.pte"], {}, ["ExecuTorch"]),
    ("NCNN", "ncnn", ["m.param"], {}, ["ncnn"]),
    ("MNN", "mnn", ["m.mnn"], {}, ["MNN"]),
    ("RKNN", "rknn", ["m.rknn"], {}, ["RKNN"]),
    ("TFJS", "tfjs", ["model.json"], {}, ["TensorFlow.js"]),
    ("PADDLE", "paddle", ["inference.pdmodel"], {}, ["PaddlePaddle"]),
    ("DLIB", "dlib", ["m.dat"], {}, ["dlib"]),
    ("TESSERACT", "tesseract", ["eng.traineddata"], {}, ["Tesseract"]),
    ("TFLITE", "mediapipe", ["m.task"], {}, ["MediaPipe"]),
    ("UNKNOWN", "caffe", ["m.caffemodel"], {}, ["OpenCV"]),
    ("UNKNOWN", "darknet", ["m.weights"], {}, ["OpenCV"]),
    ("UNKNOWN", "", ["m.custom"], {}, []),
]


@pytest.mark.parametrize(("kind", "form", "files", "fields", "expected"), CASES)
def test_only_the_programs_that_fit_are_named(
    kind: str, form: str, files: list[str], fields: Any, expected: list[str], make_model: Make
) -> None:
    record = model(make_model, kind, form, *files, **fields)
    assert programs(record) == expected
    for usage in snippets.usages(record):
        check(usage)
        assert "/srv/models/m" in usage.text


@pytest.mark.parametrize(
    ("tag", "able", "inputs", "task"),
    [
        ("", ["CHAT"], ["TEXT"], "text-generation"),
        ("", ["CHAT", "VISION"], ["TEXT", "IMAGE"], "image-text-to-text"),
        ("", ["TRANSCRIPTION"], ["AUDIO"], "automatic-speech-recognition"),
        ("", ["CLASSIFICATION"], ["IMAGE"], "image-classification"),
        ("", ["CLASSIFICATION"], ["TEXT"], "text-classification"),
        ("token-classification", ["CLASSIFICATION"], ["TEXT"], "token-classification"),
        ("image-text-to-text", ["CHAT"], ["TEXT", "IMAGE"], "image-text-to-text"),
        ("no-such-task", ["SPEECH"], ["TEXT"], "text-to-speech"),
        ("", [], [], "AutoModel"),
    ],
)
def test_the_task_of_a_pipeline_is_what_the_card_says_or_the_model_can(
    tag: str, able: list[str], inputs: list[str], task: str, make_model: Make
) -> None:
    signals = {"pipeline_tags": [tag] if tag else []}
    record = model(
        make_model,
        "TRANSFORMERS",
        "safetensors",
        "model.safetensors",
        capabilities=able,
        input_modalities=inputs,
        signals=signals,
    )
    assert task in text(record, "Transformers")
    check(snippets.usages(record)[0])


@pytest.mark.parametrize("status", ["UNSAFE", "MISSING"])
def test_what_must_not_or_cannot_be_loaded_has_no_lines_and_a_reason(
    status: str, make_model: Make
) -> None:
    record = model(make_model, "TRANSFORMERS", "safetensors", "model.safetensors", status=status)
    assert snippets.usages(record) == []
    assert snippets.why_none(record)


def test_a_model_without_weights_has_no_lines(make_model: Make) -> None:
    record = make_model(variants=[])
    assert snippets.usages(record) == []
    assert "not on the disk" in snippets.why_none(record)


def test_a_model_of_the_hub_cache_is_loaded_from_its_revision(make_model: Make) -> None:
    revision = "hub/models--org--name/snapshots/abc"
    record = model(
        make_model,
        "TRANSFORMERS",
        "safetensors",
        f"{revision}/model.safetensors",
        path="hub/models--org--name",
        capabilities=["CHAT"],
    )
    assert f"'/srv/models/{revision}'" in text(record, "Transformers")
    assert f"vllm serve /srv/models/{revision} " in text(record, "vLLM")


def test_a_single_gguf_file_goes_by_its_own_path_with_its_projector(make_model: Make) -> None:
    record = model(
        make_model,
        "LLAMA_CPP",
        "gguf",
        "a/x.gguf",
        "a/mmproj-x.gguf",
        path="a/x.gguf",
        capabilities=["CHAT"],
        context_length=4096,
    )
    line = text(record, "llama.cpp")
    assert "-m /srv/models/a/x.gguf --mmproj /srv/models/a/mmproj-x.gguf -c 4096" in line


def test_of_shards_the_first_is_named(make_model: Make) -> None:
    record = model(make_model, "LLAMA_CPP", "gguf", "x-00001-of-00002.gguf")
    record.variants[0]["files"] = ["m/x-00002-of-00002.gguf", "m/x-00001-of-00002.gguf"]
    assert "-m /srv/models/m/x-00001-of-00002.gguf" in text(record, "llama.cpp")


def test_a_model_of_an_ollama_store_goes_by_its_name(make_model: Make) -> None:
    path = "o/manifests/registry.ollama.ai/library/llama3"
    record = model(make_model, "LLAMA_CPP", "gguf", "o/blobs/sha256-x", path=path)
    record.files.insert(0, [f"{path}/8b", 1])
    assert [(usage.program, usage.text) for usage in snippets.usages(record)] == [
        ("Ollama", "ollama run llama3:8b")
    ]


def test_an_adapter_is_put_on_its_base_where_that_is_registered(make_model: Make) -> None:
    base = model(make_model, "TRANSFORMERS", "safetensors", "model.safetensors", name="base")
    adapter = model(
        make_model, "PEFT", "safetensors", "a/adapter_model.safetensors", path="a", name="adapter"
    )
    assert "AutoPeftModel" in text(adapter, "PEFT")
    assert "AutoModelForCausalLM.from_pretrained('/srv/models/m')" in text(adapter, "PEFT", base)


def test_a_hosted_model_is_asked_with_the_key_by_its_name_only(make_model: Make) -> None:
    record = make_model(
        "gpt-'x",
        status="REMOTE",
        model_id="gpt",
        extracted={"type": "OPENAI", "endpoint": "https://host/v1", "api_key_variable": "MY_KEY"},
    )
    curl, client = snippets.usages(record)
    check(curl)
    check(client)
    assert 'Bearer $MY_KEY"' in curl.text
    words = shlex.split(curl.text.replace("\\\n", " "))
    assert json.loads(words[words.index("-d") + 1])["model"] == "gpt-'x"
    assert "os.environ['MY_KEY']" in client.text


def test_a_key_variable_that_is_no_name_stays_out_of_the_shell(make_model: Make) -> None:
    extracted = {"type": "OPENAI", "endpoint": "https://host/v1", "api_key_variable": "X$(id)"}
    assert "$(" not in snippets.usages(make_model(status="REMOTE", extracted=extracted))[0].text


HOSTILE = [
    "a b",
    "it's",
    '"q"',
    "$HOME",
    "`id`",
    "new\nline",
    "tab\t",
    "-rf",
    "模型",
    "back\\slash",
    "\u202egnp",
    "\\xff\\xfe",
    "!",
    "~",
    "*",
]


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash, whose quoting it is")
@pytest.mark.parametrize("name", HOSTILE)
def test_a_pasted_path_is_one_word_whatever_stands_in_it(name: str, make_model: Make) -> None:
    record = model(
        make_model,
        "LLAMA_CPP",
        "gguf",
        f"{name}/x.gguf",
        path=f"{name}/x.gguf",
        root=Root.objects.create(path="/srv/it's here"),
    )
    path = snippets.absolute(record, record.path)
    told = subprocess.run(
        ["bash", "-c", f"printf %s {typed(path)}"], capture_output=True, check=True
    ).stdout
    assert told.decode("utf-8", "surrogateescape") == path
    line = text(record, "llama.cpp")
    line.encode()
    assert line.count("\n") == 2
    assert all(part.isprintable() for part in line.split("\n"))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_path_in_python_is_read_back_as_it_is(name: str, make_model: Make) -> None:
    record = model(make_model, "ONNX", "onnx", f"{name}.onnx", path=f"{name}.onnx")
    line = text(record, "ONNX Runtime")
    line.encode()
    literals = [node.value for node in ast.walk(ast.parse(line)) if isinstance(node, ast.Constant)]
    assert snippets.absolute(record, record.path) in literals


def test_a_gguf_that_is_no_language_model_is_not_chatted_with(make_model: Make) -> None:
    path = "shelf/x.gguf"
    lora = model(make_model, "PEFT", "gguf", path, path=path, name="a")
    assert programs(lora) == ["llama.cpp"]
    assert "--lora" in text(lora, "llama.cpp")
    painter = model(make_model, "DIFFUSERS", "gguf", path, path=f"{path}2", name="b")
    part = model(
        make_model, "LLAMA_CPP", "gguf", path, path=f"{path}3", name="c",
        signals={"marks": {"part": "gguf"}},
    )  # fmt: skip
    ranker = model(
        make_model, "LLAMA_CPP", "gguf", path, path=f"{path}4", name="d", capabilities=["RERANKING"]
    )
    assert programs(painter) == programs(part) == []
    assert "--reranking" in text(ranker, "llama.cpp")
