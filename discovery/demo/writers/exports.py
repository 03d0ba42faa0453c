"""Write folders of models that were exported from another framework.

They hold the exported files and the original configuration.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from discovery.demo.writers.arrays import write_ctranslate2, write_flax
from discovery.demo.writers.cards import DemoCard, write_card
from discovery.demo.writers.configs import config, write_generation_config, write_tokenizer
from discovery.demo.writers.graphs import Port, write_openvino
from discovery.demo.writers.onnx import ONNXPort, write_onnx
from discovery.demo.writers.shapes import Sizes, transformer_tensors
from discovery.demo.writers.sparse import TensorSpec, write_json, write_text


def onnx_folder(
    path: Path, *, family: str = "bert", sizes: Sizes | None = None, card: DemoCard | None = None
) -> None:
    """model.onnx with its weights in model.onnx_data."""
    sizes = sizes or Sizes(context=512)
    _sidecars(path, family, sizes, card)
    inputs: list[ONNXPort] = [
        (name, "I64", ("batch", "sequence")) for name in ("input_ids", "attention_mask")
    ]
    outputs: list[ONNXPort] = [("last_hidden_state", "F32", ("batch", "sequence", sizes.hidden))]
    write_onnx(
        path / "model.onnx",
        transformer_tensors(family, sizes, dtype="F32"),
        inputs,
        outputs,
        external="model.onnx_data",
    )


def openvino_folder(
    path: Path, *, family: str = "llama", sizes: Sizes | None = None, card: DemoCard | None = None
) -> None:
    """Write openvino_model.xml and .bin, as Optimum exports them.

    The weights have eight bits, with a scale for each row.
    """
    sizes = sizes or Sizes()
    _sidecars(path, family, sizes, card)
    write_generation_config(path)
    tensors: list[TensorSpec] = []
    for name, _, shape in transformer_tensors(family, sizes):
        packed = len(shape) == 2
        tensors.append((name, "U8" if packed else "F32", shape))
        if packed:
            tensors += [
                (f"{name}/zero_point", "U8", (shape[0], 1)),
                (f"{name}/scale", "F16", (shape[0], 1)),
            ]
    inputs: list[Port] = [("input_ids", "I64", (1, 128)), ("attention_mask", "I64", (1, 128))]
    write_openvino(
        path / "openvino_model.xml",
        tensors,
        inputs,
        [("logits", "F32", (1, 128, sizes.vocab))],
        name="main_graph",
    )


def flax_folder(
    path: Path, *, family: str = "bert", sizes: Sizes | None = None, card: DemoCard | None = None
) -> None:
    """flax_model.msgpack, dense layers called kernel as Flax calls them."""
    sizes = sizes or Sizes(context=512)
    _sidecars(path, family, sizes, card)
    renamed: list[TensorSpec] = []
    for name, _, shape in transformer_tensors(family, sizes, dtype="F32"):
        dense = name.endswith(".weight") and len(shape) == 2 and "embed" not in name
        renamed.append(
            (f"{name.removesuffix('.weight')}.kernel", "F32", shape[::-1])
            if dense
            else (name, "F32", shape)
        )
    write_flax(path / "flax_model.msgpack", renamed)


def ctranslate2_folder(
    path: Path,
    tensors: Sequence[TensorSpec],
    vocab: int,
    *,
    spec: str,
    settings: Mapping[str, object],
    shared_vocabulary: bool = True,
    card: DemoCard | None = None,
) -> None:
    """Write model.bin with its config.json and vocabulary.

    Matrices have eight bits, with a scale for each row.
    """
    packed: list[TensorSpec] = []
    for name, _, shape in tensors:
        base = name.replace(".", "/")
        packed.append((base, "I8" if len(shape) == 2 else "F32", shape))
        if len(shape) == 2:
            packed.append((f"{base}_scale", "F32", (shape[0],)))
    write_ctranslate2(path / "model.bin", packed, spec=spec)
    write_json(path / "config.json", dict(settings))
    words = "".join(f"w{number}\n" for number in range(vocab))
    write_text(path / ("shared_vocabulary.txt" if shared_vocabulary else "vocabulary.txt"), words)
    if card:
        write_card(path, card)


def _sidecars(path: Path, family: str, sizes: Sizes, card: DemoCard | None) -> None:
    write_json(path / "config.json", config(family, sizes, "F32"))
    write_tokenizer(
        path,
        sizes.vocab,
        sizes.context,
        tokenizer_class="BertTokenizer" if family == "bert" else "LlamaTokenizer",
    )
    if card:
        write_card(path, card)
