"""Recognizes kinds of networks by their tensors: names first, then convolution shapes.

Of a long list an even sample is examined, because the characteristic names occur throughout.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from operator import attrgetter

from discovery.engine.classify.signals import SignalCollector
from discovery.engine.core.types import Tensor

#: How many tensors are asked for their name and shape, at least (where there are so many).
SAMPLE = 120

_name_of = attrgetter("name")
_NUMBER = re.compile(r"\d+")

#: Side lengths of kernels: a longer axis counts channels.
_MAX_KERNEL = 32
#: From this on a kernel over a waveform is meant, not a filter between neighbouring tokens.
_WAVE = 7
#: Bands of the spectrogram that most speech models take.
_MELS = 80
#: Channels of a picture whose neighboring points were laid over each other, two by two.
_FOCUSED = 12
#: Channels of pictures enlarged once, twice, three and four times at their last layer.
_PIXELS = frozenset({3, 12, 27, 48})


def _names(*patterns: str) -> re.Pattern[str]:
    """Beginnings of names, behind the prefixes that checkpoints put before them."""
    prefix = r"(?:model\.)?(?:diffusion_model\.)?(?:net\.)?"
    return re.compile(rf"(?:^|\n){prefix}(?:{'|'.join(patterns)})")


_VIDEO = _names(
    r"blocks\.\d+\.(?:self_attn|cross_attn)\.(?:[qkvo]|[qkvo](?:utput)?_proj|[kv]_img)\.",
    r"patchify_proj\.",
    r"txt_in\.individual_token_refiner\.",
    r"blocks\.\d+\.attn\.qkv_[xy]\.",
    r"(?:(?:down|up)_blocks\.\d+\.|mid_block\.)?motion_modules\.",
    r"temporal_transformer\.",
)
#: Of the same blocks, where a language model's words go in: Anima, which paints single pictures.
_STILL = re.compile(r"(?:^|\n|\.)llm_adapter\.")
_PAINTER = re.compile(
    r"(?:^|\n)(?:model\.diffusion_model\.|diffusion_model\.|"
    r"unet\.(?:conv_in|time_embed|add_embed|\w+_blocks?)[._]|lora_(?:unet|te\d?|transformer|"
    r"prior)_|(?:transformer\.)?(?:single_)?transformer_blocks\.|(?:single|double|joint)_blocks\.|"
    r"joint_transformer_blocks\.|(?:context|noise)_refiner\.|down_blocks\.|input_blocks\.\d|"
    r"text_encoder\.text_model|caption_projection\.|cap_embedder\.|emb_params\b|string_to_param|"
    r"(?:model\.|net\.)?(?:[xty]_embedder\.|cond_seq_linear\.|init_x_linear\.)|"
    r"(?:unet|text_encoder):\d+:(?:up|down)\n|<[^<>\n]{1,60}>\n|"
    r"clip_[gl]\n)"
)
#: Attention as Diffusers spells it, which others have taken over.
_DIFFUSION = re.compile(rf"{_PAINTER.pattern}|[._]to_(?:q|k|v|out_0|out\.0)(?:[._]|\n)")
_GUIDE = re.compile(
    r"(?:^|\n)(?:image_proj\.|ip_adapter\.|control_model\.|controlnet_|input_hint_block\.|"
    r"lora_controlnet\n|(?:adapter\.)?body\.\d+\.(?:resnets\.\d+\.)?block\d\.)"
)
_CODER = re.compile(
    r"(?:^|\n)(?:first_stage_model\.|vae\.)?(?:encoder|decoder)\.(?:mid[._]|down\.\d|up\.\d|"
    r"down_blocks\.|up_blocks\.|conv_in\.|conv_out\.|downsamples\.|upsamples\.)"
)
_CODEC = re.compile(r"(?:^|\n)(?:quantizer\.|.*\.codebook\b|.*codebook\.embed)")
#: Generators of the VITS family, and vocoders of HiFi-GAN's.
_VOICE = _names(
    r"enc_p\.emb_", r"(?:generator\.|dec\.)?conv_pre\.", r"(?:generator\.|dec\.)?ups\.\d+\.weight_g"
)
#: The spectrogram that a network computes by itself.
_SPECTRUM = re.compile(
    r"(?:^|\n|\.)(?:mel_spec|mel_stft|mel_scale|spectrogram)\.|(?:^|\n)decoder\.estimator\."
)
#: What a decoder has written so far.
_WRITTEN = re.compile(r"(?:^|\n|\.)decoder\.(?:token_embedding|embed_tokens)\.")
_UPSCALER = re.compile(
    r"(?:^|\n)(?:conv_first\.|conv_last\.|.*\.rdb\d\.|.*\.RDB\d\.|model\.\d+\.sub\.|upsample\.|"
    r"conv_before_upsample\.|upconv\d?\.)"
)
_TEXT = re.compile(
    r"embed_tokens|word_embeddings|wte\.|token_embd|bert\.encoder|lm_head|transformer\.h\.|"
    r"language_model|tok_embeddings|token_embedding\.|text_model\.|model\.layers\.\d+\.self_attn|"
    r"encoder\.block\.\d+\.layer\.\d+\.SelfAttention|\.mixer\.(?:A_log|in_proj)|"
    r"\.att\.receptance\.|(?:^|\n)enc\.blk\."
)
_VISION = re.compile(
    r"vision_model\.|(?:^|\n|\.)visual\.|vision_tower\.|vision_encoder\.|image_encoder"
)
#: A layer that many networks call so, whatever they take.
_CONV = re.compile(r"encoder\.conv\d")
_AUDIO = re.compile(
    r"feature_extractor\.conv_layers|encoder\.conv\d|mel_|(?:^|\n|\.)audio_tower|wav\dvec\d\.|"
    r"audio_encoder\.|(?:^|\n)stft\.|(?:^|\n)(?:band_split|mask_estimators?)\."
)
_PATTERNS = {
    "guide": _GUIDE,
    "video": _VIDEO,
    "still": _STILL,
    "spectrum": _SPECTRUM,
    "written": _WRITTEN,
    "diffusion": _DIFFUSION,
    "codec": _CODEC,
    "voice": _VOICE,
    "coder": _CODER,
    "text": _TEXT,
    "vision": _VISION,
    "audio": _AUDIO,
    "upscaler": _UPSCALER,
}
#: What longer names show is not remembered.
_REMEMBERED = 20_000


def is_painters(name: str) -> bool:
    """Whether only the tensors of diffusion models are called so."""
    return any(pattern.search(f"{name}\n") for pattern in (_PAINTER, _VIDEO))


def read(clues: SignalCollector, tensors: Sequence[Tensor]) -> None:
    """Marks what the tensors show, with the name that shows it."""
    step = max(len(tensors) // SAMPLE, 1)
    sample = tensors[::step]
    names = "\n".join(map(_name_of, sample))
    look = _shown if len(names) <= _REMEMBERED else _shown.__wrapped__
    for mark, where in _by_name(look(names), sample):
        clues.add_feature(f"tensors:{mark}", where)
        return
    if told := _convolutions(sample):
        clues.add_feature(f"tensors:{told[0]}", told[1])


@lru_cache(maxsize=256)
def _shown(names: str) -> dict[str, str]:
    """The kinds of network that tensor names indicate, each with the name that does.

    Cached, since models of one family have the same names.
    """
    # Layers differ by their number only: each kind of name is looked at once.
    kinds = dict(zip(_NUMBER.sub("0", names).split("\n"), names.split("\n"), strict=True))
    distinct = "\n".join(kinds) + "\n"
    return {
        kind: kinds.get(where := _line(distinct, found), where)
        for kind, pattern in _PATTERNS.items()
        if (found := pattern.search(distinct))
    }


def _by_name(shown: dict[str, str], sample: Sequence[Tensor]) -> Iterator[tuple[str, str]]:
    """(kind, the tensor that shows it), the surest first."""
    if not shown:
        return
    ranks = {len(tensor.shape) for tensor in sample}
    if found := shown.get("guide"):
        yield "guide", found
    if found := shown.get("video"):
        yield "diffusion" if "still" in shown else "video", found
    if (found := shown.get("spectrum")) and not ranks & {4, 5}:
        yield "voice" if shown.keys() & {"diffusion", "voice"} else "audio", found
    if found := shown.get("diffusion"):
        yield "video" if 5 in ranks else "diffusion", found
    if 3 in ranks and not ranks & {4, 5}:
        yield from ((sound, shown[sound]) for sound in ("codec", "voice") if sound in shown)
    if (found := shown.get("coder")) and ranks & {4, 5}:
        yield "video coder" if 5 in ranks else "picture coder", found
    if (name := shown.get("audio")) and _CONV.search(name) and _is_flat(sample, name):
        shown = {kind: where for kind, where in shown.items() if kind != "audio"}
    if "text" in shown and not shown.keys() & {"vision", "audio"} and (seen := _picture(sample)):
        shown = {**shown, "vision": seen.name}
    yield from _senses(shown)
    if (found := shown.get("upscaler")) and _picture(sample):
        yield "upscaler", found


def _is_flat(sample: Sequence[Tensor], name: str) -> bool:
    """Whether the convolution of that name runs over a picture."""
    return any(tensor.name == name and len(tensor.shape) == 4 for tensor in sample)


def _senses(shown: dict[str, str]) -> Iterator[tuple[str, str]]:
    """What the halves of a model take."""
    text, vision, audio = shown.get("text"), shown.get("vision"), shown.get("audio")
    if vision and text:
        yield "text+image", vision
    if audio:
        yield "speech" if "written" in shown and not vision else "audio", audio
    if text:
        yield "text", text
    if vision:
        yield "image", vision


def _convolutions(sample: Sequence[Tensor]) -> tuple[str, str] | None:
    """(kind, tensor) by the input of the first layer.

    Pictures have three channels in two dimensions; sound has one channel (or the bands of a
    spectrogram) in one dimension, or in two of which one is a single line.
    """
    if picture := _picture(sample):
        deep = [tensor for tensor in sample if len(tensor.shape) == 4]
        flat = any(len(tensor.shape) == 2 for tensor in sample)
        back = any(tensor.shape[0] in _PIXELS for tensor in deep if tensor is not picture)
        return "upscaler" if back and not flat and len(deep) > 2 else "image", picture.name
    if painted := _decoded(sample):
        return "picture coder", painted.name
    for tensor in sample:
        if len(tensor.shape) == 5 and tensor.shape[1] == 3:
            return "moving image", tensor.name
    for tensor in sample:
        if _takes_a_wave(tensor.shape):
            return "audio", tensor.name
    return None


def _picture(sample: Sequence[Tensor]) -> Tensor | None:
    """A layer with three input channels: (out, 3, height, width), or TensorFlow's order."""
    for number, tensor in enumerate(t for t in sample if len(t.shape) == 4):
        shape = tensor.shape
        first = shape[1] == 3 and max(shape[2:]) <= _MAX_KERNEL
        side = _MAX_KERNEL if shape[3] > _MAX_KERNEL else 11  # of patches, where channels are told
        last = shape[2] == 3 and shape[3] > 3 and shape[0] == shape[1] <= side
        focused = not number and shape[1] == _FOCUSED and max(shape[2:]) <= _WAVE
        if first or last or focused:
            return tensor
    return None


def _decoded(sample: Sequence[Tensor]) -> Tensor | None:
    """The last of convolutions alone, where it makes the three channels of a picture."""
    deep = [tensor for tensor in sample if len(tensor.shape) == 4]
    if len(deep) < 4 or any(len(tensor.shape) not in (1, 4) for tensor in sample):
        return None
    out, channels, *sides = deep[-1].shape
    return deep[-1] if out == 3 and channels > 3 and max(sides) <= _WAVE else None


def _takes_a_wave(shape: tuple[int, ...]) -> bool:
    if len(shape) == 3:
        wave = shape[1] in (1, 2) and shape[0] > 2 and shape[2] >= _WAVE  # one ear or two
        return wave or (shape[1] == _MELS and shape[2] >= 3)
    if len(shape) == 4 and shape[1] == 1:
        sides = sorted(shape[2:])
        return sides[0] == 1 and sides[1] > _MAX_KERNEL
    return False


def _line(names: str, match: re.Match[str]) -> str:
    """The name of the tensor that contains the match."""
    at = match.start() + 1 if match[0].startswith("\n") else match.start()
    start = names.rfind("\n", 0, at) + 1
    return names[start : names.find("\n", at)]
