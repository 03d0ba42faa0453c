"""TorchScript: PyTorch programs with their weights, ``.jit``, ``.ptl``, ``.torchscript``, or any
name of a checkpoint.

The reader of PyTorch's files recognizes them by the code that they contain. Source:
``torch/csrc/jit/docs/serialization.md`` of https://github.com/pytorch/pytorch.
"""

from __future__ import annotations

from discovery.engine.core.format_registry import Format, Usage
from discovery.engine.core.vocabulary import ModelType
from discovery.engine.formats.pytorch import read
from discovery.engine.formats.torch_contents import TORCHSCRIPT as NAME

__all__ = ["NAME", "read"]

FORMAT = Format(
    name=NAME,
    label="TorchScript",
    rank=33,
    type=ModelType.TORCHSCRIPT,
    suffixes=(".jit", ".ptl", ".torchscript"),
    tried_for=(".pt", ".pth", ".bin"),
    holds_pickles=True,
    is_archive=True,
    is_program=True,
    read=read,
    usage=Usage(
        "PyTorch",
        "pip install torch",
        "import torch\n\n"
        'model = torch.jit.load({path!r}, map_location="cpu")  # runs the code in the file\n'
        "print(model.code)",
    ),
)
