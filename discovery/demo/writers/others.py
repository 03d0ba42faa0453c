"""The writers of every format but safetensors, GGUF, ONNX and PyTorch's, under one roof."""

from discovery.demo.writers.archives import write_hdf5, write_keras, write_nemo
from discovery.demo.writers.arrays import (
    write_ctranslate2,
    write_flax,
    write_ggml_llama,
    write_ggml_lora,
    write_ggml_whisper,
)
from discovery.demo.writers.graphs import (
    write_coreml,
    write_openvino,
    write_savedmodel,
    write_tensorrt,
    write_tflite,
)

__all__ = [
    "write_coreml", "write_ctranslate2", "write_flax", "write_ggml_llama", "write_ggml_lora",
    "write_ggml_whisper", "write_hdf5", "write_keras",
    "write_nemo", "write_openvino", "write_savedmodel", "write_tensorrt", "write_tflite",
]  # fmt: skip
