"""Audio models of the demo tree: Whisper three ways, wav2vec 2.0, and a Conformer."""

from __future__ import annotations

from pathlib import Path

from discovery.demo.writers.archives import write_nemo
from discovery.demo.writers.arrays import write_ggml_whisper
from discovery.demo.writers.cards import DemoCard, write_card
from discovery.demo.writers.exports import ctranslate2_folder
from discovery.demo.writers.folders import transformers_folder
from discovery.demo.writers.shapes import Sizes, transformer_tensors

WHISPER_LANGUAGES = (
    "en",
    "zh",
    "de",
    "es",
    "ru",
    "ko",
    "fr",
    "ja",
    "pt",
    "tr",
    "pl",
    "ca",
    "nl",
    "ar",
    "sv",
    "it",
    "hi",
    "no",
    "cy",
    "sw",
)


def write(root: Path) -> None:
    transformers_folder(
        root / "whisper-large-v3", family="whisper", layers=32, hidden=1280, vocab=51866,
        context=448, mels=128, dtype="F16",
        card=DemoCard(
            "Whisper large v3",
            "Transcribes and translates speech in 99 languages; trained on five million hours of "
            "labelled and pseudo-labelled audio.",
            language=WHISPER_LANGUAGES, tags=("audio", "speech", "asr"),
            pipeline_tag="automatic-speech-recognition",
            uses="Subtitles, minutes, archives of interviews.",
            limits="Silence and music can make it invent sentences.",
        ),
    )  # fmt: skip
    transformers_folder(
        root / "wav2vec2-base", family="wav2vec2", layers=12, hidden=768, vocab=32, dtype="F32",
        card=DemoCard(
            "wav2vec 2.0 base, 960 h",
            "Learns from unlabelled speech, then from 960 hours of read English. Input is mono at "
            "16 kHz.",
            tags=("audio", "speech", "ctc"), pipeline_tag="automatic-speech-recognition",
            scores={"LibriSpeech clean": 96.6, "LibriSpeech other": 91.4},
        ),
    )  # fmt: skip
    tiny = Sizes(layers=4, hidden=384, vocab=51865, context=448)
    ctranslate2_folder(
        root / "faster-whisper-tiny", transformer_tensors("whisper", tiny), 51865,
        spec="WhisperSpec", shared_vocabulary=False,
        settings={"lang_ids": [50259, 50260, 50261], "suppress_ids": [],
            "alignment_heads": [[5, 3], [5, 9]]},
        card=DemoCard(
            "Whisper tiny for faster-whisper",
            "Converted to CTranslate2 in eight-bit integers: four times the speed of the original "
            "at the same accuracy.",
            license="mit", language=WHISPER_LANGUAGES[:8], tags=("audio", "ctranslate2", "int8"),
            pipeline_tag="automatic-speech-recognition",
            base_model="openai/whisper-tiny", library="ctranslate2",
        ),
    )  # fmt: skip
    base = Sizes(layers=6, hidden=512, vocab=51864, context=448)
    tensors = [
        (name, "F16" if len(shape) > 1 else "F32", shape)
        for name, _, shape in transformer_tensors("whisper", base)
    ]
    write_ggml_whisper(root / "whisper-base-en-ggml/ggml-base.en.bin", tensors, base)
    folder = root / "stt-en-conformer-ctc"
    settings = {
        "target": "nemo.collections.asr.models.ctc_bpe_models.EncDecCTCModelBPE",
        "sample_rate": 16000,
        "nemo_version": "1.23.0",
    }
    write_nemo(folder / "stt_en_conformer_ctc_small.nemo", settings, weights=52_428_800)
    write_card(folder, DemoCard(
        "Conformer CTC small, English",
        "Thirteen million parameters that write lower-case English without punctuation, for "
        "streams that must not lag.",
        license="cc-by-4.0", tags=("nemo", "speech", "conformer"),
        pipeline_tag="automatic-speech-recognition", library="nemo",
        scores={"LibriSpeech clean": 96.3},
    ))  # fmt: skip
