"""The inputs and outputs of a Diffusers pipeline, by its class and its components."""

from __future__ import annotations

import re
from collections.abc import Iterator

from discovery.engine.classify.signals import Signals

#: Classes of models and pipelines for films.
VIDEO = re.compile(
    r"Video|Animate|Motion|CogVideoX|HunyuanVideo|LTX|Mochi|(^|[a-z])Wan(?=[A-Z]|$)|"
    r"3DConditionModel|Transformer3DModel|Allegro|Latte|SkyReels|T2V|I2V|ToWorld"
)
#: Those for sound.
_SOUND_WORD = re.compile(r"Audio|Music|Sound|Speech|DanceDiffusion|ACEStep|AceStep|UNet1D")
#: Pipelines that start from a picture.
_FROM_PICTURE = re.compile(
    r"Img2Img|Inpaint|ControlNet|ImageTo|Image2|I2V|Upscale|InstructPix2Pix|^StableVideo|Depth2Img|"
    r"^Marigold|Variation|Edit|Kontext|Fill(?=Pipeline)|Redux|PaintByExample|SuperResolution"
)


def signs(signals: Signals) -> Iterator[tuple[str, str, str]]:
    """Diffusers: the class determines the output, the components determine whether text is an
    input.
    """
    if "diffusers" not in signals.features:
        return
    name, where = next(iter(signals.architectures), ""), signals.features["diffusers"]
    gives = "AUDIO" if _SOUND_WORD.search(name) else "VIDEO" if VIDEO.search(name) else "IMAGE"
    takes = (
        ["TEXT"]
        if "component:text_encoder" in signals.features or "text_conditioned" in signals.features
        else []
    )
    if _FROM_PICTURE.search(name):
        takes.append("IMAGE")
    yield f"{','.join(takes)}>{gives}", name or "diffusion pipeline", where
