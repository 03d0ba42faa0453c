"""Write small files of programs for word vectors, tables, speech and text.

These are fastText, word2vec, boosted trees, scikit-learn, spaCy, Kaldi and Tesseract.
"""

from __future__ import annotations

import json
import pickle
import zipfile
from pathlib import Path
from struct import pack

FASTTEXT_MAGIC = 793_712_314


def write_fasttext(
    path: Path,
    *,
    words: int = 3,
    labels: int = 2,
    width: int = 4,
    buckets: int = 5,
    version: int | None = 12,
    packed: bool = False,
) -> None:
    """``version`` ``None``: as before there was a magic. ``packed``: the input is quantized."""
    data = b"" if version is None else pack("<2i", FASTTEXT_MAGIC, version)
    kind = 3 if labels else 2
    data += pack("<12id", width, 5, 5, 1, 5, 1, 3, kind, buckets, 2, 4, 100, 1e-4)
    data += pack("<3iq", words + labels, words, labels, 40)
    data += b"" if version is None else pack("<q", -1)
    for number in range(words + labels):
        name = f"w{number}" if number < words else f"__label__{number - words}"
        data += name.encode() + b"\0" + pack("<qb", 7, int(number >= words))
    rows, last = words + buckets, labels or words
    mark = b"" if version is None else b"\0"
    if packed:
        data += b"\1\0" + pack("<2qi", rows, width, rows * 2) + bytes(rows * 2)
        data += pack("<4i", width, 2, 2, 2) + bytes(4 * 256 * width)
    else:
        data += mark + pack("<2q", rows, width) + pack("<f", 0.5) * (rows * width)
    data += mark + pack("<2q", last, width) + pack("<f", 0.25) * (last * width)
    _write(path, data)


def write_word2vec(path: Path, *, words: int = 4, width: int = 3, text: bool = False) -> None:
    data = f"{words} {width}\n".encode()
    for number in range(words):
        data += f"word{number} ".encode()
        numbers = [number + side / 8 for side in range(1, width + 1)]
        data += (
            " ".join(map(str, numbers)).encode() if text else pack(f"<{width}f", *numbers)
        ) + b"\n"
    _write(path, data)


def write_xgboost(path: Path, *, features: int = 3, trees: int = 2) -> None:
    """As text for ``.json``, else as UBJSON, with no trees in it."""
    if path.suffix != ".json":
        parts = [_key("learner") + b"{", _key("attributes") + b"{}"]
        parts += [_key("gradient_booster") + b"{", _key("num_trees") + _ubj_text(str(trees)), b"}"]
        parts += [_key("learner_model_param") + b"{"]
        parts += [_key("num_feature") + _ubj_text(str(features)), b"}"]
        parts += [_key("objective") + b"{", _key("name") + _ubj_text("reg:squarederror"), b"}}"]
        version = b"[#L" + (3).to_bytes(8, "big") + b"i\3i\2i\0"
        _write(path, b"{" + b"".join(parts) + _key("version") + version + b"}")
        return
    learner = {
        "attributes": {},
        "feature_names": [],
        "gradient_booster": {"model": {"gbtree_model_param": {"num_trees": str(trees)}}},
        "learner_model_param": {"num_class": "0", "num_feature": str(features)},
        "objective": {"name": "binary:logistic"},
    }
    document = {"learner": learner, "version": [3, 2, 0]}
    _write(path, json.dumps(document, separators=(",", ":")).encode())


def _key(name: str) -> bytes:
    return b"L" + len(name).to_bytes(8, "big") + name.encode()


def _ubj_text(text: str) -> bytes:
    return b"SL" + len(text).to_bytes(8, "big") + text.encode()


def write_lightgbm(path: Path, *, trees: int = 2) -> None:
    body = [f"Tree={number}\nnum_leaves=1\nleaf_value=0.5\n\n\n" for number in range(trees)]
    head = (
        "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\n"
        "max_feature_idx=2\nobjective=regression\nfeature_names=a b c\n"
        f"tree_sizes={' '.join(str(len(tree)) for tree in body)}\n\n"
    )
    _write(path, (head + "".join(body) + "end of trees\n").encode())


def write_catboost(path: Path, *, size: int = 200) -> None:
    settings = b'{"loss_function":{"type":"Logloss"},"depth":6,"iterations":10}'
    _write(path, b"CBM1" + pack("<2I", size, 16) + settings + bytes(size - 4 - len(settings)))


def write_sklearn(path: Path) -> None:
    """A pickle that names scikit-learn's ``Pipeline``, which need not be installed."""
    plain = pickle.dumps({"steps": [], "_sklearn_version": "1.5.0"}, protocol=2)[2:-1]
    _write(path, b"\x80\x02csklearn.pipeline\nPipeline\n)\x81" + plain + b"b.")


def write_skops(path: Path) -> None:
    schema = {
        "__class__": "LogisticRegression",
        "__module__": "sklearn.linear_model._logistic",
        "__loader__": "ObjectNode",
        "_skops_version": "0.13.0",
        "protocol": 2,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("schema.json", json.dumps(schema))


def write_spacy(folder: Path) -> None:
    meta = {
        "lang": "en", "name": "core_tiny", "version": "3.7.0", "spacy_version": ">=3.7.0,<3.8.0",
        "description": "A small pipeline", "author": "Somebody", "license": "MIT",
        "vectors": {"width": 0}, "pipeline": ["tok2vec", "ner"],
    }  # fmt: skip
    _write(folder / "meta.json", json.dumps(meta, indent=2).encode())
    _write(folder / "config.cfg", b'[nlp]\nlang = "en"\n')
    _write(folder / "tokenizer", b"\x80\0")
    _write(folder / "vocab" / "strings.json", b"[]")
    _write(folder / "vocab" / "lookups.bin", b"\x80")
    _write(folder / "ner" / "model", bytes(64))


def write_vosk(folder: Path) -> None:
    _write(folder / "am" / "final.mdl", b"\0B<TransitionModel> <Topology> " + bytes(64))
    _write(folder / "graph" / "HCLr.fst", bytes(32))
    _write(folder / "conf" / "mfcc.conf", b"--sample-frequency=16000\n")


def write_traineddata(path: Path) -> None:
    """A neural network and its version, as components 17 and 23 of 24."""
    start, offsets = 4 + 8 * 24, [-1] * 24
    offsets[17], offsets[23] = start, start + 40
    _write(path, pack("<i24q", 24, *offsets) + b"\1" * 40 + b"5.0.0")


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
