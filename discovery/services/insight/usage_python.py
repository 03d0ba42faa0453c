"""Ready lines of Python for the libraries that load a model from its folder.

Paths are literals that Python reads back exactly.
"""

from __future__ import annotations

from collections.abc import Iterator

from discovery.engine.core import format_registry
from discovery.engine.core.vocabulary import ModelType
from discovery.models import RegisteredModel

#: Task of a Transformers pipeline → what it is called with, and what of its answer is printed.
TASKS = {
    "text-generation": ('"Once upon a time", max_new_tokens=50', '[0]["generated_text"]'),
    "text2text-generation": ('"Translate to German: Good morning"', '[0]["generated_text"]'),
    "summarization": ('"A long text …"', '[0]["summary_text"]'),
    "translation": ('"Good morning"', '[0]["translation_text"]'),
    "fill-mask": ('f"This is a {model.tokenizer.mask_token}."', ""),
    "text-classification": ('"I like this a lot."', ""),
    "token-classification": ('"My name is Ada and I live in London."', ""),
    "zero-shot-classification": ('"I like this a lot.", candidate_labels=["praise", "blame"]', ""),
    "question-answering": ('question="Who wrote it?", context="It was written by Ada."', ""),
    "image-classification": ('"picture.jpg"', ""),
    "image-feature-extraction": ('"picture.jpg"', ""),
    "image-segmentation": ('"picture.jpg"', ""),
    "object-detection": ('"picture.jpg"', ""),
    "depth-estimation": ('"picture.jpg"', '["predicted_depth"].shape'),
    "image-to-text": ('"picture.jpg"', ""),
    "zero-shot-image-classification": ('"picture.jpg", candidate_labels=["a cat", "a dog"]', ""),
    "visual-question-answering": ('image="picture.jpg", question="What is this?"', ""),
    "automatic-speech-recognition": ('"speech.wav"', '["text"]'),
    "audio-classification": ('"sound.wav"', ""),
    "text-to-speech": ('"Good morning."', '["audio"].shape'),
    "feature-extraction": ('"Some text"', ""),
}
_CHAT = '[{"role": "user", "content": "Hello"}], max_new_tokens=100'
_CHAT_ABOUT_A_PICTURE = (
    'text=[{"role": "user", "content": [{"type": "image", "url": "picture.jpg"}, {"type": "text",'
    ' "text": "What is this?"}]}], max_new_tokens=100'
)

Line = tuple[str, str, str]


def lines(record: RegisteredModel, home: str, path: str, base: str) -> Iterator[Line]:
    """Yield (program, what to install, text) for the contents of the folder ``home``.

    ``path`` is its main file or folder, ``base`` an adapter's base.
    """
    kind = record.type
    main = record.variants[0]["format"]
    loose = f"/{record.path}".endswith((".safetensors", ".ckpt", ".pt", ".pth", ".bin", ".gguf"))
    if (
        kind in (ModelType.TRANSFORMERS, ModelType.HUGGINGFACE)
        and main not in ("gguf", "ggml", "onnx")
        and not loose
    ):
        yield (
            "Transformers",
            "pip install transformers torch accelerate",
            transformers(record, home),
        )
    elif kind == ModelType.SENTENCE_TRANSFORMERS:
        yield "Sentence Transformers", "pip install sentence-transformers", _sentences(record, home)
    elif kind == ModelType.PEFT and not loose:
        yield "PEFT", "pip install peft transformers torch", _adapter(home, base)
    elif kind == ModelType.DIFFUSERS:
        yield from _diffusers(record, home, path, loose=loose)
    elif kind == ModelType.OPENVINO:
        yield "OpenVINO", "pip install openvino", _openvino(record, path)
    elif kind == ModelType.CTRANSLATE2:
        yield "CTranslate2", "pip install ctranslate2", _ctranslate2(record, home)
    elif (
        kind == ModelType.TENSORFLOW
        and main == "tensorflow"
        and any(name.endswith("saved_model.pb") for name, _ in record.files)
    ):
        yield (
            "TensorFlow",
            "pip install tensorflow",
            (
                "import tensorflow as tf\n\n"
                f"model = tf.saved_model.load({home!r})\n"
                "print(list(model.signatures))"
            ),
        )
    elif (
        (known := format_registry.get(main))
        and known.usage
        and kind in (known.usage.types or (known.type,))
    ):
        usage = known.usage
        yield usage.program, usage.install, usage.text.format(path=path)


def transformers(record: RegisteredModel, home: str) -> str:
    task, call, answer = _call(record)
    if not task:
        return (
            "from transformers import AutoConfig, AutoModel\n\n"
            f"path = {home!r}\n"
            "print(AutoConfig.from_pretrained(path).architectures)\n"
            "model = AutoModel.from_pretrained(path)"
        )
    return (
        "from transformers import pipeline\n\n"
        f'model = pipeline("{task}", model={home!r}, device_map="auto")\n'
        f"print(model({call}){answer})"
    )


def _call(record: RegisteredModel) -> tuple[str, str, str]:
    """Return (task, arguments, which part of the result to show).

    The task is the one that the card names, else the one that fits its capabilities.
    """
    able = set(record.value("capabilities") or ())
    named = next(
        (
            task
            for task in record.signals.get("pipeline_tags", ())
            if task in TASKS or task == "image-text-to-text"
        ),
        "",
    )
    task = named or _task(able, set(record.value("input_modalities") or ()))
    if task == "image-text-to-text":
        return task, _CHAT_ABOUT_A_PICTURE, '[0]["generated_text"]'
    if task == "text-generation" and "CHAT" in able:
        return task, _CHAT, '[0]["generated_text"][-1]'
    return (task, *TASKS[task]) if task else ("", "", "")


def _task(able: set[str], inputs: set[str]) -> str:
    pictures = "IMAGE" in inputs
    if able & {"CHAT", "GENERATION", "CODE"}:
        return "image-text-to-text" if pictures and "VISION" in able else "text-generation"
    order = (
        ("TRANSCRIPTION", "automatic-speech-recognition"), ("SPEECH", "text-to-speech"),
        ("TRANSLATION", "translation"),
        ("SUMMARIZATION", "summarization"),
        ("EMBEDDING", "image-feature-extraction" if pictures else "feature-extraction"),
        ("CLASSIFICATION",
            "image-classification" if pictures
            else "audio-classification" if "AUDIO" in inputs else "text-classification"),
    )  # fmt: skip
    return next((task for name, task in order if name in able), "")


def _sentences(record: RegisteredModel, home: str) -> str:
    if "RERANKING" in (record.value("capabilities") or ()):
        return (
            "from sentence_transformers import CrossEncoder\n\n"
            f"model = CrossEncoder({home!r})\n"
            'print(model.predict([("a question", "an answer")]))'
        )
    return (
        "from sentence_transformers import SentenceTransformer\n\n"
        f"model = SentenceTransformer({home!r})\n"
        'print(model.encode("Some text").shape)'
    )


def _adapter(home: str, base: str) -> str:
    if not base:
        return (
            f"from peft import AutoPeftModel\n\nmodel = AutoPeftModel.from_pretrained({home!r})  #"
            " fetches the base that the adapter names"
        )
    return (
        "from peft import PeftModel\n"
        "from transformers import AutoModelForCausalLM\n\n"
        f"base = AutoModelForCausalLM.from_pretrained({base!r})\n"
        f"model = PeftModel.from_pretrained(base, {home!r})"
    )


def _diffusers(record: RegisteredModel, home: str, path: str, *, loose: bool) -> Iterator[Line]:
    needs = "pip install diffusers transformers torch accelerate"
    if any(
        name == "model_index.json" or name.endswith("/model_index.json") for name, _ in record.files
    ):
        made = (
            ".frames[0]"
            if "VIDEO_GENERATION" in (record.value("capabilities") or ())
            else '.images[0].save("picture.png")'
        )
        text = (
            f'pipe = DiffusionPipeline.from_pretrained({home!r}, torch_dtype="auto",'
            f' device_map="balanced")\npipe("a lighthouse at dusk"){made}'
        )
        yield "Diffusers", needs, f"from diffusers import DiffusionPipeline\n\n{text}"
    elif (
        loose
        and (record.architecture or "").endswith("Pipeline")
        and str(record.architecture).isidentifier()
    ):
        name = record.architecture
        yield (
            "Diffusers",
            needs,
            f"from diffusers import {name}\n\npipe = {name}.from_single_file({path!r})",
        )


def _openvino(record: RegisteredModel, path: str) -> str:
    files = record.variants[0].get("files") or []
    graph = next((name for name in files if name.endswith(".xml")), "")
    place = (
        f"{path.rpartition('/')[0]}/{graph.rpartition('/')[2]}"
        if graph and not path.endswith(".xml")
        else path
    )
    return (
        "import openvino\n\n"
        f'model = openvino.Core().compile_model({place!r}, "AUTO")\n'
        "print(model.inputs)"
    )


def _ctranslate2(record: RegisteredModel, home: str) -> str:
    able = record.value("capabilities") or ()
    name = (
        "models.Whisper"
        if "TRANSCRIPTION" in able
        else "Translator"
        if "TRANSLATION" in able
        else "Generator"
    )
    return f'import ctranslate2\n\nmodel = ctranslate2.{name}({home!r}, device="auto")'


def onnxruntime(path: str) -> str:
    return (
        f"import onnxruntime\n\nsession = onnxruntime.InferenceSession({path!r},"
        " providers=onnxruntime.get_available_providers())\nfor each in session.get_inputs():\n   "
        " print(each.name, each.shape, each.type)"
    )


def openai(endpoint: str, name: str, variable: str, *, embeds: bool) -> str:
    key = f"os.environ[{variable!r}]" if variable else '"none"'
    imports = (
        "import os\n\nfrom openai import OpenAI\n\n"
        if variable
        else "from openai import OpenAI\n\n"
    )
    asked = (
        f'print(len(client.embeddings.create(model={name!r}, input="Some text").data[0].embedding))'
        if embeds
        else (
            f'answer = client.chat.completions.create(model={name!r}, messages=[{{"role": "user",'
            ' "content": "Hello"}])\nprint(answer.choices[0].message.content)'
        )
    )
    return f"{imports}client = OpenAI(base_url={endpoint!r}, api_key={key})\n{asked}"
