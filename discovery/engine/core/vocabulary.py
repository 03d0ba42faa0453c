"""The closed lists of words that describe models and their files.

Values are the words of the contract; what is stored and what programs are told never changes.
"""

from __future__ import annotations

from discovery.engine.core.word import Word


class ModelType(Word):
    """Which library or program runs a model."""

    TRANSFORMERS = "TRANSFORMERS"
    LLAMA_CPP = "LLAMA_CPP", "llama.cpp"
    ONNX = "ONNX", "ONNX Runtime"
    DIFFUSERS = "DIFFUSERS"
    SENTENCE_TRANSFORMERS = "SENTENCE_TRANSFORMERS", "Sentence Transformers"
    PEFT = "PEFT", "PEFT adapter"
    PYTORCH = "PYTORCH", "PyTorch"
    OPENAI = "OPENAI", "OpenAI API"
    OPENVINO = "OPENVINO", "OpenVINO"
    TENSORFLOW = "TENSORFLOW", "TensorFlow"
    TFLITE = "TFLITE", "TensorFlow Lite"
    COREML = "COREML", "Core ML"
    CTRANSLATE2 = "CTRANSLATE2", "CTranslate2"
    MLX = "MLX", "MLX"
    TENSORRT = "TENSORRT", "TensorRT"
    WHISPER_CPP = "WHISPER_CPP", "whisper.cpp"
    TORCHSCRIPT = "TORCHSCRIPT", "TorchScript"
    EXECUTORCH = "EXECUTORCH", "ExecuTorch"
    FASTTEXT = "FASTTEXT", "fastText"
    WORD2VEC = "WORD2VEC", "word2vec"
    SKLEARN = "SKLEARN", "scikit-learn"
    XGBOOST = "XGBOOST", "XGBoost"
    LIGHTGBM = "LIGHTGBM", "LightGBM"
    CATBOOST = "CATBOOST", "CatBoost"
    SPACY = "SPACY", "spaCy"
    KALDI = "KALDI"
    PADDLE = "PADDLE", "PaddlePaddle"
    NCNN = "NCNN", "ncnn"
    MNN = "MNN", "MNN"
    RKNN = "RKNN", "RKNN"
    TFJS = "TFJS", "TensorFlow.js"
    DLIB = "DLIB", "dlib"
    TESSERACT = "TESSERACT"
    PYTHON = "PYTHON", "Python object"
    HUGGINGFACE = "HUGGINGFACE", "Hugging Face"
    PLUGIN = "PLUGIN"
    UNKNOWN = "UNKNOWN"


class Status(Word):
    """Whether a model is whole and safe; that of its best variant."""

    READY = "READY", "Ready", "ok"
    INCOMPLETE = "INCOMPLETE", "Incomplete", "warn"
    CORRUPT = "CORRUPT", "Corrupt", "bad"
    UNSAFE = "UNSAFE", "Unsafe", "bad"
    MISSING = "MISSING", "Missing", "warn"
    REMOTE = "REMOTE", "Remote", "plain"


class Severity(Word):
    """How bad a problem, or a line of the log, is."""

    INFO = "info", "Info", "plain"
    WARNING = "warning", "Warning", "warn"
    ERROR = "error", "Error", "bad"


class Outcome(Word):
    """What came of a check, the worst first."""

    FAILED = "failed", "Failed", "bad"
    WARNING = "warning", "Warning", "warn"
    PASSED = "passed", "Passed", "ok"
    SKIPPED = "skipped", "Skipped", "plain"


class Visibility(Word):
    """Who may see a model."""

    PUBLIC = "PUBLIC"
    RESTRICTED = "RESTRICTED"
    ADMIN_ONLY = "ADMIN_ONLY", "Administrators only"


class Fits(Word):
    """What this machine's memory makes of a model."""

    MEMORY = "memory", "In memory"
    OFFLOAD = "offload", "With offload"
    NO = "no", "Too large"


class Primary(Word):
    """What kind of data a model works on."""

    LANGUAGE = "LANGUAGE", "Language", "plain", "text in, text out"
    VISION = "VISION", "Vision", "plain", "pictures and video"
    AUDIO = "AUDIO", "Audio", "plain", "sound and speech"
    MULTIMODAL = "MULTIMODAL", "Multimodal", "plain", "takes several kinds at once"


class Secondary(Word):
    """What a model is used for."""

    CHAT = "CHAT", "Chat", "plain", "made to converse"
    CODE = "CODE", "Code", "plain", "writes and explains programs"
    REASONING = "REASONING", "Reasoning", "plain", "thinks step by step, mathematics"
    CREATIVE = "CREATIVE", "Creative", "plain", "makes pictures, sound, stories"
    ANALYSIS = "ANALYSIS", "Analysis", "plain", "embeds, classifies, detects, transcribes"


class Specialization(Word):
    """The subject that a model knows best."""

    MEDICAL = "MEDICAL", "Medical", "plain", "medicine and biology of people"
    LEGAL = "LEGAL", "Legal", "plain", "law"
    TECHNICAL = "TECHNICAL", "Technical", "plain", "software and engineering"
    SCIENTIFIC = "SCIENTIFIC", "Scientific", "plain", "science and mathematics"
    GENERAL = "GENERAL", "General", "plain", "what no domain claims"


class Modality(Word):
    """A kind of data that a model takes or gives."""

    TEXT = "TEXT"
    IMAGE = "IMAGE"
    VIDEO = "VIDEO"
    AUDIO = "AUDIO"


class Capability(Word):
    """Something that a model can do."""

    CHAT = "CHAT"
    CODE = "CODE"
    REASONING = "REASONING"
    EMBEDDING = "EMBEDDING"
    GENERATION = "GENERATION"
    CLASSIFICATION = "CLASSIFICATION"
    TRANSLATION = "TRANSLATION"
    SUMMARIZATION = "SUMMARIZATION"
    TOOL_USE = "TOOL_USE"
    VISION = "VISION"
    TRANSCRIPTION = "TRANSCRIPTION"
    SPEECH = "SPEECH"
    IMAGE_GENERATION = "IMAGE_GENERATION"
    VIDEO_GENERATION = "VIDEO_GENERATION"
    RERANKING = "RERANKING"


class Relation(Word):
    """How a model came from its base model."""

    FINETUNE = "finetune", "Fine-tune"
    ADAPTER = "adapter"
    QUANTIZED = "quantized"
    MERGE = "merge"


AXES = ("primary", "secondary", "specialization")

SECTIONS = {
    "primary": "primary_category",
    "secondary": "secondary_category",
    "specialization": "specialization",
}

CATEGORIES = {
    "primary": Primary.values,
    "secondary": Secondary.values,
    "specialization": Specialization.values,
}

MODALITIES = Modality.values

CAPABILITIES = Capability.values


def category_hint(value: str) -> str:
    """What to know before one chooses a category."""
    kinds = (Primary, Secondary, Specialization)
    return next((kind(value).hint for kind in kinds if value in kind.values), "")


#: Families whose name is not simply written with a capital.
FAMILIES = {
    "gpt": "GPT", "gpt_neox": "GPT-NeoX", "bert": "BERT", "roberta": "RoBERTa", "xlm": "XLM",
    "albert": "ALBERT", "distilbert": "DistilBERT",
    "modernbert": "ModernBERT", "deberta": "DeBERTa", "mpnet": "MPNet", "opt": "OPT", "mpt": "MPT",
    "clip": "CLIP", "siglip": "SigLIP",
    "vit": "ViT", "resnet": "ResNet", "convnext": "ConvNeXt", "deepseek": "DeepSeek",
    "chatglm": "ChatGLM", "glm": "GLM", "internlm": "InternLM",
    "internvl": "InternVL", "llava": "LLaVA", "rwkv": "RWKV", "smollm": "SmolLM",
    "hubert": "HuBERT", "wavlm": "WavLM", "minicpm": "MiniCPM",
    "minicpmv": "MiniCPM-V", "starcoder": "StarCoder", "codegen": "CodeGen", "bart": "BART",
    "mbart": "mBART", "olmo": "OLMo", "exaone": "EXAONE",
    "lfm": "LFM", "dinov": "DINO", "wav": "wav2vec", "sam": "SAM", "detr": "DETR", "yolos": "YOLOS",
    "nllb": "NLLB", "led": "LED",
}  # fmt: skip

#: Licenses that models often come under, as cards write them.
LICENSES = (
    "apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "gpl-3.0", "agpl-3.0", "lgpl-3.0",
    "mpl-2.0", "unlicense", "cc0-1.0", "cc-by-4.0",
    "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0", "openrail", "openrail++",
    "creativeml-openrail-m", "bigscience-openrail-m",
    "bigscience-bloom-rail-1.0", "bigcode-openrail-m", "llama2", "llama3", "llama3.1", "llama3.2",
    "llama3.3", "llama4", "gemma", "deepseek",
    "other",
)  # fmt: skip


def family_name(name: str) -> str:
    """``llama`` → ``Llama``, ``gpt`` → ``GPT``; what people wrote themselves stays as it is."""
    return FAMILIES.get(name) or (name.capitalize() if name.islower() else name)
