"""Models of programs beyond Transformers and llama.cpp, as they lie on a disk: what each is, where
it begins and ends, and that names alone make no model.
"""

from __future__ import annotations

import gzip
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from discovery.engine.core.types import Found
from discovery.engine.core.vocabulary import Status
from tests.support import builders

Read = Callable[..., dict[str, Found]]

EVIL = b"cos\nsystem\n(S'true'\ntR."


def value(found: Found, field: str) -> object:
    return found.values[field].value if field in found.values else None


def kinds(models: dict[str, Found]) -> dict[str, tuple[object, object, str]]:
    return {
        path: (value(found, "type"), value(found, "format"), found.status.value)
        for path, found in models.items()
    }


LOOSE: list[tuple[str, Callable[[Path], object], str, str]] = [
    ("lid.bin", builders.fasttext, "FASTTEXT", "fasttext"),
    ("lid.ftz", lambda path: builders.fasttext(path, packed=True), "FASTTEXT", "fasttext"),
    ("old.bin", lambda path: builders.fasttext(path, version=None), "FASTTEXT", "fasttext"),
    ("news.bin", builders.word2vec, "WORD2VEC", "word2vec"),
    ("news.vec", lambda path: builders.word2vec(path, text=True), "WORD2VEC", "word2vec"),
    ("glove.50d.txt", lambda path: builders.word2vec(path, text=True), "WORD2VEC", "word2vec"),
    ("credit.xgb.json", lambda path: builders.xgboost(path), "XGBOOST", "xgboost"),
    ("credit.ubj", builders.xgboost, "XGBOOST", "xgboost"),
    ("credit.model", builders.xgboost, "XGBOOST", "xgboost"),
    ("lgb_credit.txt", builders.lightgbm, "LIGHTGBM", "lightgbm"),
    ("credit.cbm", builders.catboost, "CATBOOST", "catboost"),
    ("digits.joblib", builders.sklearn, "SKLEARN", "joblib"),
    ("digits.pkl", builders.sklearn, "SKLEARN", "joblib"),
    ("digits.sav", builders.sklearn, "SKLEARN", "joblib"),
    ("digits.skops", builders.skops, "SKLEARN", "skops"),
    ("eng.traineddata", builders.traineddata, "TESSERACT", "tesseract"),
    ("net.pt", builders.torchscript, "TORCHSCRIPT", "torchscript"),
    ("net.ptl", builders.torchscript, "TORCHSCRIPT", "torchscript"),
    ("net.pt2", builders.torch_export, "PYTORCH", "torch_export"),
    ("net.mar", builders.torchserve, "PYTORCH", "torchserve"),
    ("net.pte", builders.executorch, "EXECUTORCH", "executorch"),
    ("net.param", builders.ncnn, "NCNN", "ncnn"),
    ("net.mnn", builders.mnn, "MNN", "mnn"),
    ("net.rknn", builders.rknn, "RKNN", "rknn"),
    ("net.caffemodel", builders.caffe, "UNKNOWN", "caffe"),
    ("net.weights", builders.darknet, "UNKNOWN", "darknet"),
    ("shape_predictor_68_face_landmarks.dat", builders.dlib, "DLIB", "dlib"),
    ("hand.task", builders.mediapipe, "TFLITE", "mediapipe"),
    ("gemma.litertlm", builders.mediapipe, "TFLITE", "mediapipe"),
    ("ocr.pdiparams", builders.paddle, "PADDLE", "paddle"),
    ("face-weights_manifest.json", builders.tfjs_manifest, "TFJS", "tfjs"),
]


@pytest.mark.parametrize(("name", "write", "kind", "form"), LOOSE, ids=[each[0] for each in LOOSE])
def test_a_loose_file_is_told_by_its_bytes(
    name: str, write: Callable[[Path], object], kind: str, form: str, models_root: Path, read: Read
) -> None:
    write(models_root / "shelf" / name)
    assert kinds(read(models_root)) == {f"shelf/{name}": (kind, form, "READY")}


@pytest.mark.parametrize(
    "name",
    [
        "credit_model.json", "model.txt", "meta.json", "net.weights", "net.task", "net.mar",
        "face_predictor.dat", "words.vec", "data.sav", "net.model", "__model__", "inference.json",
        "group1-shard1of2", "final.mdl", "x.pkl.gz", "news.w2v",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"hello, world\n" * 50, bytes(range(256)) * 20, bytes(5_000)]
)
def test_a_name_alone_makes_no_model(name: str, data: bytes, models_root: Path, read: Read) -> None:
    (models_root / "shelf").mkdir()
    (models_root / "shelf" / name).write_bytes(data)
    assert read(models_root) == {}


def test_a_spacy_pipeline_is_one_model_with_all_that_lies_in_it(
    models_root: Path, read: Read
) -> None:
    builders.spacy(models_root / "en_core_tiny-3.7.0")
    (found,) = read(models_root).values()
    assert (found.path, found.status) == ("en_core_tiny-3.7.0", Status.READY)
    assert value(found, "type") == "SPACY"
    assert value(found, "license") == "mit"
    assert value(found, "language_support") == ["en"]
    assert len(found.files) == 6
    assert value(found, "modalities") == ["TEXT"]


def test_a_folder_of_vosk_listens(models_root: Path, read: Read) -> None:
    builders.vosk(models_root / "vosk-model-small-en-us-0.15")
    (found,) = read(models_root).values()
    assert (value(found, "type"), value(found, "format")) == ("KALDI", "kaldi")
    assert value(found, "modalities") == ["TEXT", "AUDIO"]
    assert len(found.files) == 3


def test_the_parts_of_a_compiled_model_are_one(models_root: Path, read: Read) -> None:
    folder = models_root / "openai_whisper-tiny"
    for part in ("AudioEncoder", "TextDecoder", "MelSpectrogram"):
        builders.mlmodelc(folder / f"{part}.mlmodelc")
    (folder / "config.json").write_text(
        json.dumps({"model_type": "whisper", "architectures": ["WhisperForConditionalGeneration"]})
    )
    (found,) = read(models_root).values()
    assert (found.path, value(found, "format"), found.status) == (
        "openai_whisper-tiny",
        "coreml",
        Status.READY,
    )
    assert len(found.variants) == 1
    assert len(found.files) == 16


def test_a_compiled_model_alone_is_named_without_its_suffix(models_root: Path, read: Read) -> None:
    builders.mlmodelc(models_root / "Detector.mlmodelc")
    (found,) = read(models_root).values()
    assert (value(found, "type"), value(found, "name"), value(found, "dtype")) == (
        "COREML",
        "Detector",
        "F16",
    )


@pytest.mark.parametrize("program", ["inference.pdmodel", "inference.json"])
def test_a_program_of_paddle_and_its_parameters_are_one_model(
    program: str, models_root: Path, read: Read
) -> None:
    builders.paddle(models_root / "ocr" / "inference.pdiparams", program=program)
    (found,) = read(models_root).values()
    assert (found.path, value(found, "name"), found.status) == ("ocr", "ocr", Status.READY)
    assert (value(found, "type"), value(found, "parameter_count")) == ("PADDLE", 8)
    assert len(found.files) == 2


def test_an_old_program_of_paddle_is_one_model(models_root: Path, read: Read) -> None:
    place = models_root / "lac_model"
    builders.paddle(place / "__params__", program="x.pdmodel")
    (place / "x.pdmodel").rename(place / "__model__")
    (found,) = read(models_root).values()
    assert (found.path, value(found, "type"), found.status) == (
        "lac_model",
        "PADDLE",
        Status.READY,
    )
    assert value(found, "parameter_count") == 8


def test_a_pickled_state_of_paddle_is_paddles_and_its_imports_are_judged(
    models_root: Path, read: Read
) -> None:
    numpy = pytest.importorskip("numpy")
    state = {"linear.weight": numpy.zeros((4, 3), "f4"), "StructuredToParameterName@@": {}}
    (models_root / "sound.pdparams").write_bytes(pickle.dumps(state, protocol=4))
    (models_root / "evil.pdparams").write_bytes(b"\x80\x02" + EVIL)
    models = read(models_root)
    assert kinds(models) == {
        "sound.pdparams": ("PADDLE", "paddle", "READY"),
        "evil.pdparams": ("PADDLE", "paddle", "UNSAFE"),
    }
    assert value(models["sound.pdparams"], "parameter_count") == 12
    assert models["sound.pdparams"].pickled


def test_shards_for_the_browser_belong_to_their_manifest(models_root: Path, read: Read) -> None:
    builders.tfjs(models_root / "digits")
    (found,) = read(models_root).values()
    assert (found.path, value(found, "type"), found.status) == ("digits", "TFJS", Status.READY)
    assert value(found, "parameter_count") == 224
    (models_root / "digits" / "group1-shard2of2.bin").unlink()
    (found,) = read(models_root).values()
    assert found.status is Status.INCOMPLETE


def test_the_weights_of_ncnn_are_no_model_of_their_own(models_root: Path, read: Read) -> None:
    builders.ncnn(models_root / "up" / "x4.param")
    builders.ncnn(models_root / "up" / "x2.param")
    models = read(models_root)
    assert sorted(models) == ["up/x2.param", "up/x4.param"]
    assert all(len(found.files) == 2 for found in models.values())
    assert value(models["up/x4.param"], "parameter_count") == 16 * 27 + 16


def test_whisper_cpp_is_whisper(models_root: Path, read: Read) -> None:
    tensors = [(f"t{number}", "F32", (2,)) for number in range(11 + 15 + 24)]
    sizes = builders.Sizes(layers=1, hidden=8, vocab=3)
    builders.ggml_whisper(models_root / "ggml-tiny.en.bin", tensors, sizes)
    (found,) = read(models_root).values()
    assert (value(found, "type"), value(found, "format")) == ("WHISPER_CPP", "ggml")
    assert value(found, "architecture") == "whisper"
    assert value(found, "modalities") == ["TEXT", "AUDIO"]
    assert value(found, "vocab_size") == 3


def test_a_program_of_torch_and_a_checkpoint_of_its_name_are_two(
    models_root: Path, read: Read
) -> None:
    builders.torchscript(models_root / "vad" / "vad.jit")
    builders.onnx(
        models_root / "vad" / "vad.onnx",
        [("w", "F32", (4, 2))],
        [("x", "F32", (1, 4))],
        [("y", "F32", (1, 2))],
    )
    assert {path: kind for path, (kind, _, _) in kinds(read(models_root)).items()} == {
        "vad/vad.jit": "TORCHSCRIPT",
        "vad/vad.onnx": "ONNX",
    }


def test_a_llamafile_is_the_model_in_it(models_root: Path, read: Read) -> None:
    metadata = {"general.architecture": "llama", "llama.context_length": 4096}
    builders.gguf(models_root / "m.gguf", metadata, [("token_embd.weight", "F32", (4, 2))])
    inside = (models_root / "m.gguf").read_bytes()
    (models_root / "m.gguf").unlink()
    builders.llamafile(models_root / "tiny.llamafile", inside)
    (found,) = read(models_root).values()
    assert (value(found, "type"), value(found, "format")) == ("LLAMA_CPP", "gguf")
    assert value(found, "context_length") == 4096
    assert value(found, "parameter_count") == 8


def test_repositories_are_unwrapped(models_root: Path, read: Read) -> None:
    """MLflow keeps an object beside ``MLmodel``, Triton a model below its version."""
    logged = models_root / "mlruns" / "1" / "model"
    builders.sklearn(logged / "model.pkl")
    (logged / "MLmodel").write_text("flavors:\n  sklearn:\n    pickled_model: model.pkl\n")
    served = models_root / "triton" / "digits"
    builders.torchscript(served / "1" / "model.pt")
    (served / "config.pbtxt").write_text('platform: "pytorch_libtorch"\n')
    assert {kind for kind, _, _ in kinds(read(models_root)).values()} == {"SKLEARN", "TORCHSCRIPT"}


@pytest.mark.parametrize(
    "name", ["a.sav", "a.joblib", "a.ftz", "a.mar", "a.model", "a.pkl.gz", "a.jit", "a.cbm"]
)
def test_a_pickle_under_the_name_of_another_format_is_followed(
    name: str, models_root: Path, read: Read
) -> None:
    data = gzip.compress(EVIL) if name.endswith(".gz") else EVIL
    (models_root / name).write_bytes(data)
    models = read(models_root)
    assert all(found.status is Status.UNSAFE for found in models.values())
    assert models


def test_an_object_of_a_class_that_nobody_knows_is_told(models_root: Path, read: Read) -> None:
    (models_root / "x.pkl").write_bytes(b"\x80\x02cprophet.forecaster\nProphet\n)\x81}b.")
    (found,) = read(models_root).values()
    assert (value(found, "type"), value(found, "architecture")) == ("PYTHON", "Prophet")
    assert [problem.code for problem in found.problems] == ["unknown_import"]


def test_an_archive_of_torchserve_without_its_weights_is_incomplete_and_its_code_is_told(
    models_root: Path, read: Read
) -> None:
    builders.torchserve(models_root / "digits.mar", weights=False)
    (found,) = read(models_root).values()
    assert {problem.code for problem in found.problems} == {"weights_missing", "remote_code"}


def test_a_list_of_formats_is_obeyed_for_what_a_file_turns_out_to_be(
    models_root: Path, read: Read
) -> None:
    builders.fasttext(models_root / "lid.bin")
    builders.torch_zip(models_root / "net.bin", [("w", "F32", (2, 2))])
    builders.torchscript(models_root / "program.pt")
    assert set(read(models_root, supported_formats=("fasttext",))) == {"lid.bin"}
    # A list from before the other formats were known keeps what its words stood for.
    assert set(read(models_root, supported_formats=("pytorch",))) == {
        "lid.bin",
        "net.bin",
        "program.pt",
    }
    assert read(models_root, supported_formats=("gguf",)) == {}


@pytest.mark.parametrize("size", [100, 2_000_000])
def test_what_programs_load_with_a_folder_is_the_models(
    size: int, models_root: Path, read: Read
) -> None:
    """In the ledger: a graph of Vosk's is no stray."""
    from discovery.engine.core.config import Discovery
    from discovery.engine.core.types import Candidate
    from discovery.engine.disk.ledger import Ledger, Use
    from discovery.engine.disk.walk import walk

    builders.vosk(models_root / "vosk")
    (models_root / "vosk" / "graph" / "HCLr.fst").write_bytes(bytes(size))
    found = list(read(models_root).values())
    ledger = Ledger(str(models_root))
    (candidate,) = (
        item for item in walk(str(models_root), Discovery()) if isinstance(item, Candidate)
    )
    ledger.read(candidate, found)
    assert ledger.tallies[Use.UNRECOGNIZED].files == 0
    assert ledger.tallies[Use.MODEL].bytes > size


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("n", lambda folder: builders.ncnn(folder / "n.param")),
        ("t", builders.tfjs),
        ("v", builders.vosk),
        ("s", builders.spacy),
        ("M.mlmodelc", builders.mlmodelc),
    ],
    ids=["ncnn", "tfjs", "vosk", "spacy", "mlmodelc"],
)
def test_a_variant_is_as_large_as_all_that_is_loaded_with_it(
    name: str, write: Callable[[Path], object], models_root: Path, read: Read
) -> None:
    write(models_root / name)
    (found,) = read(models_root).values()
    assert [variant.size_bytes for variant in found.variants] == [found.size_bytes]


def test_a_loose_model_of_core_ml_is_not_as_large_as_its_folder(
    models_root: Path, read: Read
) -> None:
    builders.coreml(models_root / "shelf" / "a.mlmodel", [("x", "F32", (1, 3))], [])
    (models_root / "shelf" / "notes.bak").write_bytes(bytes(5_000))
    (found,) = read(models_root).values()
    assert found.variants[0].size_bytes < 5_000
