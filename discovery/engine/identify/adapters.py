"""Counts adapters by the names of their tensors, each adapted module once.

Families: LoRA (PEFT's, kohya's, Diffusers', OneTrainer's), DoRA, LoHa, LoKr, OFT and BOFT, full
differences (``diff``), IA3, VeRA, and norms of LyCORIS. Source: the modules of PEFT and LyCORIS.
What trainers put before the names of modules that they change is enough, whatever family follows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from discovery.engine.core.types import Tensor

#: How many tensors are asked for their name.
MAX_TENSORS = 4_000

_FAMILIES = (
    r"lora_(?:A|B|a|b|down|up|mid|magnitude_vector|embedding_[AB])",
    r"lora\.(?:down|up)",
    r"(?:processor\.)?(?:to_\w+|proj|qkv)_lora\d?\.(?:down|up)",
    r"hada_[wt]\d(?:_[ab])?",
    r"lokr_[wt]\d(?:_[ab])?",
    r"b?oft_(?:blocks|diag|R|S|s)",
    r"diff(?:_[bm])?",
    r"dora_scale",
    r"ia3_l",
    r"vera_lambda_[bd]",
    r"[wb]_norm",
)
#: What a module's tensors are called beyond its name: PEFT adds the adapter's and ``weight``.
_PART = re.compile(rf"[._](?:{'|'.join(_FAMILIES)})(?:\.[\w-]+){{0,2}}$")
#: One of these is in the name of each: a look for them spares most models the pattern.
_HINTS = ("lora", "hada_", "lokr_", "oft_", "diff", "dora_scale", "ia3_l", "vera_lambda", "_norm")
#: Names that only changes have: kohya's and LyCORIS' of a module, cloneofsimo's of its number.
_CHANGED = re.compile(
    r"(?:lora_(?:unet|te\d?|transformer|prior)|lycoris)_\w+\.|(?:unet|text_encoder):\d+:(?:up|down)$"
)
#: What stands beside them and says nothing alone.
_BESIDE = re.compile(r"\.(?:alpha|scale|set_weight|on_input|bias)$")


def is_adapter(tensors: Sequence[Tensor]) -> bool:
    """Whether most of the modules that ``tensors`` belong to are an adapter's."""
    sample = tensors[:MAX_TENSORS]
    spread = [tensor.name for tensor in sample[:: max(len(sample) // 64, 1)]]
    joined = "\n".join(spread)
    if all(map(_CHANGED.match, spread)) and spread:
        return True
    if not any(hint in joined for hint in _HINTS) or not any(map(_PART.search, spread)):
        return False
    changed: set[str] = set()
    beside: set[str] = set()
    for tensor in sample:
        if found := _PART.search(tensor.name):
            changed.add(tensor.name[: found.start()])
        else:
            found = _BESIDE.search(tensor.name)
            beside.add(tensor.name[: found.start()] if found else tensor.name)
    return len(changed) * 2 > len(changed | beside)
