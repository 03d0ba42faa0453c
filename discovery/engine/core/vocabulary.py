"""The closed lists of words: each word with what people call it and the tone it is shown in.

Values are the words of the contract; what is stored and what programs are told never changes.
"""

from __future__ import annotations

from enum import EnumType, StrEnum


class _Words(EnumType):
    """What a list of words tells of itself, by the names that Django's own have."""

    #: Templates take a class for something to be called.
    do_not_call_in_templates = True

    @property
    def values(cls) -> tuple[str, ...]:
        return tuple(str(each.value) for each in cls)  # type: ignore[var-annotated]

    @property
    def choices(cls) -> list[tuple[str, str]]:
        return [(each.value, each.label) for each in cls]  # type: ignore[var-annotated]


class Word(StrEnum, metaclass=_Words):
    """A word of a closed list.

    ``label`` is what people call it, ``tone`` one of plain, accent, ok, warn and bad, ``hint`` what
    to know before choosing it.
    """

    _value_: str
    label: str
    tone: str
    hint: str

    def __new__(cls, value: str, label: str = "", tone: str = "plain", hint: str = "") -> Word:
        self = str.__new__(cls, value)
        self._value_ = value
        self.label = label or value.replace("_", " ").capitalize()
        self.tone, self.hint = tone, hint
        return self

    @classmethod
    def label_of(cls, value: str) -> str:
        """What people call a value; one that is not of this list is called as it is written."""
        known = cls._value2member_map_.get(value)
        return known.label if isinstance(known, Word) else value

    @classmethod
    def tone_of(cls, value: str) -> str:
        known = cls._value2member_map_.get(value)
        return known.tone if isinstance(known, Word) else "plain"


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


class VisibilitySource(Word):
    """Who decided the visibility of a model. What stands further down beats what stands above."""

    DEFAULT = "default", "Default"
    FILE = "file", "Access file"
    RULE = "rule", "Access rule"
    PERSON = "person", "Set on the model"


class RuleKind(Word):
    """What the models of an access rule have in common."""

    CATEGORY = "category", "Category", "plain", "A category, use or domain."
    TAG = "tag", "Tag", "plain", "A tag, as it is written."
    FOLDER = (
        "folder",
        "Folder",
        "plain",
        "Below a root, such as language/chat, or an absolute path.",
    )
    LICENSE = "license", "License", "plain", "As model cards write it, such as apache-2.0."
    ROOT = "root", "Root", "plain", "Path or name of a root."
    NAME = "name", "Name", "plain", "ID or name of a model, name of a collection or of a tag."
    PATTERN = "pattern", "Pattern", "plain", "Held against IDs, names and paths, such as llama-*."


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


class Channel(Word):
    """The surface that a change came through."""

    PAGE = "page"
    API = "api", "API"
    ADMIN = "admin"
    IMPORT = "import"
    COMMAND = "command"
    SCAN = "scan"
    FILE = "file", "access file"


class LogTopic(Word):
    """What a line of the log is about."""

    DISCOVERY = "discovery"
    VALIDATION = "validation"
    METADATA = "metadata"
    CATEGORIZATION = "categorization"
    ACCESS = "access"


class PluginSource(Word):
    """Where a discovery plugin was found."""

    FOLDER = "folder", "Plugins folder"
    CONFIG = "config", "model_discovery.json"
    ENTRY_POINT = "entry point", "Installed package"


class RegistryFault(Word):
    """Why an external registry does not answer, or not with what it was asked for."""

    UNREACHABLE = "unreachable", "Not reachable", "bad"
    REFUSED = "refused", "Address refused", "bad"
    BUSY = "busy", "Too many requests", "warn"
    KEY = "key", "Key refused", "bad"
    UNREADABLE = "unreadable", "Answer cannot be read", "bad"
    GONE = "gone", "Not there", "warn"
    GATED = "gated", "Gated", "warn"
    NAME = "name", "Not a name", "warn"
    SETTINGS = "settings", "Settings are wrong", "bad"


class MatchState(Word):
    """Whether a local model is one of a registry's."""

    PROPOSED = "proposed", "To review", "warn"
    ACCEPTED = "accepted", "Linked", "ok"
    REJECTED = "rejected", "Rejected"


class JobState(Word):
    """How far a job is."""

    QUEUED = "queued", "Queued", "plain"
    RUNNING = "running", "Running", "accent"
    DONE = "done", "Done", "ok"
    CANCELLED = "cancelled", "Stopped", "warn"
    FAILED = "failed", "Failed", "bad"
    INTERRUPTED = "interrupted", "Interrupted", "warn"


class DeliveryState(Word):
    """How far a message for a webhook is: the states of a job, as people say them of messages."""

    QUEUED = "waiting", "Waiting", "accent"
    RUNNING = "sending", "Sending", "accent"
    DONE = "delivered", "Delivered", "ok"
    CANCELLED = "cancelled", "Stopped", "warn"
    FAILED = "failed", "Given up", "bad"
    INTERRUPTED = "interrupted", "Interrupted", "warn"


class Trigger(Word):
    """Who asked for a scan."""

    PAGE = "page", "Scan now"
    COMMAND = "command"
    SCHEDULE = "schedule"
    STARTUP = "startup", "Start-up"
    API = "api", "API"


class ScanEvent(Word):
    """What a scan did to a model."""

    NEW = "new", "New", "ok"
    CHANGED = "changed", "Changed", "accent"
    BACK = "back", "Back", "ok"
    MOVED = "moved", "Moved", "accent"
    MISSING = "missing", "Missing", "warn"
    SKIPPED = "skipped", "Skipped", "plain"


class Difference(Word):
    """How two scans differ in a model, besides what a scan does to it."""

    ADDED = "added", "Added", "ok"
    GONE = "gone", "Gone", "warn"


class FindingSource(Word):
    """What found a problem."""

    SCAN = "scan"
    DEEP = "deep", "Deep validation"
    LOAD = "load", "Test load"


class LoadResult(Word):
    """What came of a test load."""

    PASSED = "passed", "Loads", "ok"
    FAILED = "failed", "Does not load", "bad"
    UNSUPPORTED = "unsupported", "Cannot be tried", "plain"
    REFUSED = "refused", "Refused", "warn"


class TokenScope(Word):
    """What an API token may do at most."""

    READ = "read", "Read"
    WRITE = "write", "Read and change"
    ADMIN = "admin", "Everything"


class SignInKind(Word):
    """What a count of failed sign-ins is about."""

    PAIR = "pair", "Account and address"
    ACCOUNT = "account"
    ADDRESS = "address"
    TOKEN = "token", "Address, by token"
    KNOWN = "known", "Signed in from there"


class SignInSource(Word):
    """Who vouches for somebody that does not sign in with a password."""

    OPENID = "openid", "Sign-in provider"
    PROXY = "proxy", "Trusted proxy"


class ProviderStatus(Word):
    """What a provider can make an account, beside a member of groups."""

    SUPERUSER = "superuser", "Superuser"
    STAFF = "staff", "Staff"


class TagColor(Word):
    """The color that a tag is shown in."""

    NONE = "", "None"
    BLUE = "blue"
    TEAL = "teal"
    GREEN = "green"
    AMBER = "amber"
    RED = "red"
    PURPLE = "purple"


class ImportStage(Word):
    """What an import job does: it checks the file first and applies it later."""

    CHECK = "check"
    APPLY = "apply", "Import"


class ExpectedBy(Word):
    """Who says what a file should contain."""

    PUBLISHED = "published", "Its publisher"
    POINTER = "pointer", "Its git-lfs pointer"
    EARLIER = "earlier", "An earlier reading, from which it has departed unwritten"


class AccountKind(Word):
    """What a change of the account history is about."""

    USER = "user"
    GROUP = "group"


class Theme(Word):
    """The colors that a person has chosen for the pages."""

    SYSTEM = "system", "As on this device"
    LIGHT = "light"
    DARK = "dark"


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


#: Variables of the environment that may hold the key of a server begin with this;
#: services.integrations.endpoint_keys sends no other one.
KEY_PREFIX = "KAREN_ENDPOINT_KEY"
