"""Language models of the demo tree: chat, code, reasoning, embedding, translation, adapters."""

from __future__ import annotations

from pathlib import Path

from discovery.demo.writers.arrays import write_ggml_llama
from discovery.demo.writers.cards import DemoCard, write_card
from discovery.demo.writers.exports import (
    ctranslate2_folder,
    flax_folder,
    onnx_folder,
    openvino_folder,
)
from discovery.demo.writers.folders import (
    adapter_folder,
    awq_folder,
    gptq_folder,
    mlx_folder,
    sentence_transformers_folder,
    transformers_folder,
)
from discovery.demo.writers.gguf_folders import gguf_folder, write_gguf_model
from discovery.demo.writers.packed import gguf_tensors
from discovery.demo.writers.safetensors import split
from discovery.demo.writers.shapes import Sizes, transformer_tensors
from discovery.demo.writers.sparse import tensor_bytes, write_json
from discovery.demo.writers.torch import write_torch_zip

LLAMA_7B = Sizes(layers=32, hidden=4096, vocab=32000, context=4096, intermediate=11008, heads=32)
MISTRAL_7B = Sizes(
    layers=32, hidden=4096, vocab=32000, context=32768, intermediate=14336, heads=32, kv_heads=8
)
BERT_SMALL = Sizes(layers=12, hidden=384, vocab=30522, context=512, heads=12)
EUROPE = ("en", "fr", "de", "es", "it")


def write(root: Path) -> None:
    _chat(root / "chat")
    _chat_elsewhere(root / "chat")
    _quantized_chat(root / "chat")
    _code(root / "code")
    _reasoning(root / "reasoning")
    _embedding(root / "embedding")
    _translation(root / "translation")
    _adapters(root / "adapters")


_LLAMA_METADATA = {
    "display_name": "Llama 2 Chat 7B",
    "description": "Fine-tuned for conversational AI",
    "use_cases": ["chat", "customer_support", "creative_writing"],
    "performance_metrics": {"inference_speed": "fast", "memory_usage": "moderate",
        "accuracy_score": 0.85},
    "specialized_domains": ["general", "customer_service"],
    "language_support": ["en", "es", "fr", "de"],
    "license": "custom",
    "author": "Meta AI",
    "version": "2.0",
    "tags": ["conversational", "instruction-following", "safe"],
    "resource_requirements": {"min_ram_gb": 8, "recommended_ram_gb": 16, "gpu_memory_gb": 6,
        "cpu_cores": 4},
    "optimization_settings": {"quantization": "int8", "context_length": 4096, "batch_size": 1,
        "temperature": 0.7},
}  # fmt: skip


def _chat(root: Path) -> None:
    llama = root / "llama-2-7b-chat"
    transformers_folder(
        llama, layers=32, hidden=4096, vocab=32000, context=4096, intermediate=11008, heads=32,
        shards=2, dtype="F16", chat=True,
        card=DemoCard(
            "Llama 2 7B Chat",
            "The seven-billion-parameter Llama 2, tuned on dialogue and aligned with human "
            "feedback. It answers in complete sentences, keeps "
            "track of a conversation over some 3,000 words, and declines what it was taught to "
            "decline.",
            license="llama2", tags=("conversational", "llama-2"), pipeline_tag="text-generation",
            base_model="meta-llama/Llama-2-7b-hf",
            uses="Assistants for customer support and internal help desks, where answers are "
                 "checked against a knowledge base.",
            limits="Trained mostly on English. Facts after July 2023 are unknown to it, and it can "
                   "be confidently wrong about numbers.",
            scores={"MMLU": 45.3, "TruthfulQA": 57.0},
        ),
    )  # fmt: skip
    write_json(llama / "metadata.json", _LLAMA_METADATA)


def _chat_elsewhere(root: Path) -> None:
    """Chat models for llama.cpp and for Intel processors."""
    gguf_folder(
        root / "mistral-7b-instruct", stem="mistral-7b-instruct-v0.2",
        name="Mistral 7B Instruct v0.2", sizes=MISTRAL_7B,
        quantizations=("Q4_K_M", "Q5_K_M", "Q8_0"),
        metadata={"general.license": "apache-2.0", "general.languages": ["en"]},
        card=DemoCard(
            "Mistral 7B Instruct v0.2, GGUF",
            "Three quantizations for llama.cpp. Q4_K_M fits a laptop with 8 GB, Q5_K_M is the "
            "usual choice, Q8_0 is close to the original.",
            tags=("gguf", "mistral", "instruct"), pipeline_tag="text-generation",
            base_model="mistralai/Mistral-7B-Instruct-v0.2", library="gguf",
            uses="Offline assistants and drafting. The context of 32,768 tokens takes whole "
                 "reports.",
        ),
    )  # fmt: skip
    openvino_folder(
        root / "tinyllama-1.1b-chat-openvino",
        sizes=Sizes(layers=22, hidden=2048, vocab=32000, context=2048, intermediate=5632, heads=32,
        kv_heads=4),
        card=DemoCard(
            "TinyLlama 1.1B Chat, OpenVINO INT8",
            "TinyLlama with weights compressed to eight bits for Intel processors. Exported with "
            "Optimum Intel; runs on integrated graphics.",
            tags=("openvino", "int8", "llama"), pipeline_tag="text-generation",
            base_model="TinyLlama/TinyLlama-1.1B-Chat-v1.0", library="openvino",
            limits="A model of this size makes things up readily: use it for form, not for facts.",
        ),
    )  # fmt: skip


def _quantized_chat(root: Path) -> None:
    awq_folder(
        root / "zephyr-7b-beta-awq", family="mistral", sizes=MISTRAL_7B,
        card=DemoCard(
            "Zephyr 7B β, AWQ",
            "Zephyr is Mistral 7B tuned on synthetic dialogues by direct preference optimization. "
            "This copy is quantized to four bits by "
            "activation-aware weight quantization and loads in under 5 GB.",
            license="mit", tags=("awq", "4-bit", "dpo"), pipeline_tag="text-generation",
            base_model="HuggingFaceH4/zephyr-7b-beta",
            scores={"MT-Bench": 73.4, "AlpacaEval": 90.6},
        ),
    )  # fmt: skip
    gptq_folder(
        root / "salamandra-7b-instruct-gptq", sizes=LLAMA_7B,
        card=DemoCard(
            "Salamandra 7B Instruct, GPTQ",
            "An assistant for the languages of Spain, trained on curated public text. Spanish and "
            "Catalan are its strongest languages, Basque and "
            "Galician follow. Four bits, groups of 128.",
            language=("es", "ca", "gl", "eu", "en"), tags=("gptq", "multilingual"),
            pipeline_tag="text-generation",
            base_model="BSC-LT/salamandra-7b-instruct",
            uses="Public administration, schools and newsrooms that write in more than one "
                 "language.",
        ),
    )  # fmt: skip
    mlx_folder(
        root / "smollm2-360m-instruct-mlx",
        sizes=Sizes(layers=32, hidden=960, vocab=49152, context=8192, intermediate=2560, heads=15,
            kv_heads=5),
        card=DemoCard(
            "SmolLM2 360M Instruct, MLX 4-bit",
            "A very small assistant for Apple silicon. It rewrites, summarizes and extracts; it "
            "does not know much.",
            tags=("mlx", "4-bit"), pipeline_tag="text-generation",
            base_model="HuggingFaceTB/SmolLM2-360M-Instruct", library="mlx",
        ),
    )  # fmt: skip
    write_ggml_llama(
        root / "alpaca-7b-ggml/ggml-alpaca-7b-q4_0.bin",
        gguf_tensors(transformer_tensors("llama", LLAMA_7B), "Q4_0"),
        LLAMA_7B,
        file_type=2,
    )


def _code(root: Path) -> None:
    codellama = root / "codellama-13b"
    transformers_folder(
        codellama, layers=40, hidden=5120, vocab=32016, context=16384, intermediate=13824, heads=40,
        shards=3, dtype="BF16",
        card=DemoCard(
            "Code Llama 13B",
            "Llama 2 trained further on 500 billion tokens of source code. It completes and fills "
            "in the middle, in Python, C++, Java, PHP, "
            "TypeScript, C# and Bash.",
            license="llama2", language=("code",), tags=("llama-2", "code-completion"),
            pipeline_tag="text-generation",
            scores={"HumanEval": 36.0, "MBPP": 47.0},
        ),
    )  # fmt: skip
    # Broken on purpose: a shard never arrived.
    (codellama / "model-00002-of-00003.safetensors").unlink()
    _starcoder(root / "starcoder-15b")
    coder = root / "deepseek-coder-6.7b"
    sizes = Sizes(layers=32, hidden=4096, vocab=32256, context=16384, intermediate=11008, heads=32)
    write_gguf_model(
        coder / "deepseek-coder-6.7b-instruct.Q4_K_M.gguf",
        "deepseek-coder-6.7b-instruct",
        sizes,
        "Q4_K_M",
        {"general.license": "other"},
    )
    write_card(coder, DemoCard(
        "DeepSeek Coder 6.7B Instruct",
        "Trained from scratch on two trillion tokens, most of them code, then tuned to follow "
        "instructions. Knows whole repositories rather than "
        "single files: the context is 16,384 tokens.",
        license="deepseek", language=("en", "zh", "code"), tags=("code", "gguf"),
        pipeline_tag="text-generation",
        base_model="deepseek-ai/deepseek-coder-6.7b-instruct", library="gguf",
        scores={"HumanEval": 78.6},
    ))  # fmt: skip


def _starcoder(folder: Path) -> None:
    """Weights as PyTorch archives in four shards."""
    sizes = Sizes(layers=40, hidden=6144, vocab=49152, context=8192, heads=48)
    transformers_folder(
        folder, family="gpt_bigcode", layers=40, hidden=6144, vocab=49152, context=8192, heads=48,
        tensors=[],
        card=DemoCard(
            "StarCoder 15B",
            "Trained on more than 80 programming languages from repositories with permissive "
            "licenses. One key-value head for all queries keeps "
            "generation quick at long contexts.",
            license="bigcode-openrail-m", language=("code",), tags=("code", "fill-in-the-middle"),
            pipeline_tag="text-generation",
            uses="Completion in editors. Attribution tools can look up whether an answer repeats "
                 "training data.",
        ),
    )  # fmt: skip
    (folder / "model.safetensors").unlink()
    tensors = transformer_tensors("gpt_bigcode", sizes)
    weight_map: dict[str, str] = {}
    for number, part in enumerate(split(tensors, 4), start=1):
        name = f"pytorch_model-{number:05d}-of-00004.bin"
        write_torch_zip(folder / name, part)
        weight_map |= dict.fromkeys((tensor for tensor, _, _ in part), name)
    total = sum(tensor_bytes(dtype, shape) for _, dtype, shape in tensors)
    write_json(
        folder / "pytorch_model.bin.index.json",
        {"metadata": {"total_size": total}, "weight_map": weight_map},
    )


def _reasoning(root: Path) -> None:
    transformers_folder(
        root / "llama-2-70b", layers=80, hidden=8192, vocab=32000, context=4096, intermediate=28672,
        heads=64, kv_heads=8, shards=15, dtype="F16",
        card=DemoCard(
            "Llama 2 70B",
            "The largest Llama 2, as pretrained. Eight key-value heads are shared by 64 query "
            "heads, so long contexts stay affordable.",
            license="llama2", tags=("llama-2", "pretrained", "reasoning"),
            pipeline_tag="text-generation",
            scores={"MMLU": 68.9, "GSM8K": 56.8, "BBH": 51.2},
        ),
    )  # fmt: skip
    transformers_folder(
        root / "mixtral-8x7b", family="mixtral", layers=32, hidden=4096, vocab=32000, context=32768,
        intermediate=14336, heads=32, kv_heads=8,
        experts=8, shards=19, chat=True,
        card=DemoCard(
            "Mixtral 8x7B Instruct",
            "A sparse mixture of eight experts, two of which work on each token: 47 billion "
            "parameters to store, 13 billion to compute with.",
            language=EUROPE, tags=("moe", "reasoning", "math"), pipeline_tag="text-generation",
            base_model="mistralai/Mixtral-8x7B-v0.1",
            limits="Needs the memory of all experts even though only two are active.",
            scores={"MMLU": 70.6, "GSM8K": 74.4},
        ),
    )  # fmt: skip


def _embedding(root: Path) -> None:
    sentence_transformers_folder(
        root / "bge-small-en-v1.5", sizes=BERT_SMALL,
        card=DemoCard(
            "bge-small-en-v1.5",
            "Maps English sentences to 384 numbers for search, clustering and retrieval before "
            "generation. Small enough for a processor.",
            license="mit",
            tags=("sentence-transformers", "feature-extraction", "sentence-similarity"),
            pipeline_tag="feature-extraction",
            library="sentence-transformers", scores={"MTEB": 62.2},
        ),
    )  # fmt: skip
    onnx_folder(
        root / "gte-small-onnx", sizes=BERT_SMALL,
        card=DemoCard(
            "gte-small, ONNX",
            "General text embeddings in ONNX with the weights in a file of their own, for servers "
            "without Python.",
            license="mit", tags=("onnx", "sentence-similarity"), pipeline_tag="sentence-similarity",
            base_model="thenlper/gte-small", library="onnx",
        ),
    )  # fmt: skip


def _translation(root: Path) -> None:
    encoder = [
        (f"encoder.{name}", dtype, shape)
        for name, dtype, shape in transformer_tensors(
            "bert", Sizes(layers=6, hidden=512, vocab=8000, context=512)
        )
    ]
    ctranslate2_folder(
        root / "opus-mt-en-de-ct2", encoder, 8000, spec="TransformerSpec",
        settings={"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
        card=DemoCard(
            "OPUS-MT English to German, CTranslate2",
            "Marian's transformer for English to German, converted to eight-bit integers: some "
            "2,000 words a second on four cores.",
            license="cc-by-4.0", language=("en", "de"),
            tags=("translation", "marian", "ctranslate2"), pipeline_tag="translation",
            base_model="Helsinki-NLP/opus-mt-en-de", library="ctranslate2",
            scores={"newstest2019": 40.8},
        ),
    )  # fmt: skip
    flax_folder(
        root / "norbert-base-flax", sizes=Sizes(layers=6, hidden=512, vocab=8000, context=512),
        card=DemoCard(
            "NorBERT base, Flax",
            "A Norwegian encoder trained on Wikipedia and newspapers, both Bokmål and Nynorsk. "
            "Meant as a start for taggers and classifiers.",
            license="cc-by-4.0", language=("no", "nb", "nn"), tags=("flax", "jax", "fill-mask"),
            pipeline_tag="fill-mask",
        ),
    )  # fmt: skip


def _adapters(root: Path) -> None:
    adapter_folder(
        root / "llama-2-7b-sql-lora", base_model="meta-llama/Llama-2-7b-hf", sizes=LLAMA_7B,
        rank=16,
        card=DemoCard(
            "Llama 2 7B SQL LoRA",
            "Teaches Llama 2 to turn questions about a schema into SQL. Trained for three epochs "
            "on 78,000 pairs of question and query.",
            license="llama2", tags=("lora", "text-to-sql", "code"), pipeline_tag="text-generation",
            base_model="meta-llama/Llama-2-7b-hf",
            library="peft",
            scores={"Spider": 67.9},
        ),
    )  # fmt: skip
    adapter_folder(
        root / "mistral-7b-storyteller-lora", base_model="mistralai/Mistral-7B-v0.1",
        sizes=MISTRAL_7B, rank=32,
        card=DemoCard(
            "Storyteller",
            "An adapter for creative writing: short stories and dialogue in a plain, unhurried "
            "style. Prompts are a first sentence and a mood.",
            license="cc-by-nc-4.0", tags=("lora", "creative-writing", "stories"),
            pipeline_tag="text-generation",
            base_model="mistralai/Mistral-7B-v0.1", library="peft",
            limits="Not for commercial use. Long stories lose their thread after some 1,500 words.",
        ),
    )  # fmt: skip
