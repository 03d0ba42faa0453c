"""Short names for the writers of small models that tests read back. No logic of its own."""

from discovery.demo.writers.archives import write_hdf5 as hdf5
from discovery.demo.writers.archives import write_keras as keras
from discovery.demo.writers.archives import write_nemo as nemo
from discovery.demo.writers.arrays import write_ctranslate2 as ctranslate2
from discovery.demo.writers.arrays import write_flax as flax
from discovery.demo.writers.arrays import write_ggml_llama as ggml_llama
from discovery.demo.writers.arrays import write_ggml_lora as ggml_lora
from discovery.demo.writers.arrays import write_ggml_whisper as ggml_whisper
from discovery.demo.writers.cards import DemoCard, write_card
from discovery.demo.writers.devices import write_caffe as caffe
from discovery.demo.writers.devices import write_darknet as darknet
from discovery.demo.writers.devices import write_dlib as dlib
from discovery.demo.writers.devices import write_executorch as executorch
from discovery.demo.writers.devices import write_llamafile as llamafile
from discovery.demo.writers.devices import write_mediapipe as mediapipe
from discovery.demo.writers.devices import write_mlmodelc as mlmodelc
from discovery.demo.writers.devices import write_mnn as mnn
from discovery.demo.writers.devices import write_ncnn as ncnn
from discovery.demo.writers.devices import write_paddle as paddle
from discovery.demo.writers.devices import write_rknn as rknn
from discovery.demo.writers.devices import write_tfjs as tfjs
from discovery.demo.writers.devices import write_tfjs_manifest as tfjs_manifest
from discovery.demo.writers.devices import write_torch_export as torch_export
from discovery.demo.writers.devices import write_torchscript as torchscript
from discovery.demo.writers.devices import write_torchserve as torchserve
from discovery.demo.writers.exports import (
    ctranslate2_folder,
    flax_folder,
    onnx_folder,
    openvino_folder,
)
from discovery.demo.writers.folders import adapter_folder as adapter
from discovery.demo.writers.folders import awq_folder as awq
from discovery.demo.writers.folders import diffusers_folder as diffusers
from discovery.demo.writers.folders import gptq_folder as gptq
from discovery.demo.writers.folders import mlx_folder as mlx
from discovery.demo.writers.folders import sentence_transformers_folder as sentence_transformers
from discovery.demo.writers.folders import transformers_folder as transformers
from discovery.demo.writers.gguf import write_gguf as gguf
from discovery.demo.writers.gguf_folders import gguf_folder
from discovery.demo.writers.gguf_folders import write_gguf_model as gguf_model
from discovery.demo.writers.gguf_folders import write_mmproj as mmproj
from discovery.demo.writers.graphs import write_coreml as coreml
from discovery.demo.writers.graphs import write_openvino as openvino
from discovery.demo.writers.graphs import write_savedmodel as savedmodel
from discovery.demo.writers.graphs import write_tensorrt as tensorrt
from discovery.demo.writers.onnx import write_onnx as onnx
from discovery.demo.writers.packed import gguf_tensors
from discovery.demo.writers.safetensors import write_safetensors as safetensors
from discovery.demo.writers.safetensors import write_safetensors_shards as safetensors_shards
from discovery.demo.writers.shapes import Sizes
from discovery.demo.writers.shapes import transformer_tensors as tensors
from discovery.demo.writers.sparse import write_json, write_pieces, write_text
from discovery.demo.writers.stores import hub_cache, ollama_store
from discovery.demo.writers.tflite import write_tflite as tflite
from discovery.demo.writers.torch import write_pickle_with_import as pickle_with_import
from discovery.demo.writers.torch import write_torch_legacy as torch_legacy
from discovery.demo.writers.torch import write_torch_zip as torch_zip
from discovery.demo.writers.vectors import write_catboost as catboost
from discovery.demo.writers.vectors import write_fasttext as fasttext
from discovery.demo.writers.vectors import write_lightgbm as lightgbm
from discovery.demo.writers.vectors import write_sklearn as sklearn
from discovery.demo.writers.vectors import write_skops as skops
from discovery.demo.writers.vectors import write_spacy as spacy
from discovery.demo.writers.vectors import write_traineddata as traineddata
from discovery.demo.writers.vectors import write_vosk as vosk
from discovery.demo.writers.vectors import write_word2vec as word2vec
from discovery.demo.writers.vectors import write_xgboost as xgboost

__all__ = [
    "DemoCard", "Sizes", "adapter", "awq", "caffe", "catboost", "coreml", "ctranslate2",
    "ctranslate2_folder", "darknet", "diffusers", "dlib", "executorch", "fasttext", "flax",
    "flax_folder", "ggml_llama", "ggml_lora", "ggml_whisper", "gguf", "gguf_folder",
    "gguf_model", "gguf_tensors", "gptq", "hdf5", "hub_cache", "keras", "lightgbm", "llamafile",
    "mediapipe", "mlmodelc", "mlx", "mmproj", "mnn", "ncnn", "nemo", "ollama_store", "onnx",
    "onnx_folder", "openvino", "openvino_folder", "paddle", "pickle_with_import", "rknn",
    "safetensors", "safetensors_shards", "savedmodel", "sentence_transformers", "sklearn",
    "skops", "spacy", "tensorrt", "tensors", "tfjs", "tfjs_manifest", "tflite", "torch_export",
    "torch_legacy", "torch_zip", "torchscript", "torchserve", "traineddata", "transformers",
    "vosk", "word2vec", "write_card", "write_json", "write_pieces", "write_text", "xgboost",
]  # fmt: skip
