"""Python objects that their own library unpickles: joblib's files and plain pickles.

They are listed, never loaded: the reader of PyTorch's files recognizes them by the class of their
object. Source: ``joblib/numpy_pickle.py`` of https://github.com/joblib/joblib.
"""

from __future__ import annotations

from discovery.engine.core.format_registry import Format, Usage
from discovery.engine.core.vocabulary import ModelType
from discovery.engine.formats.pytorch import read
from discovery.engine.formats.torch_contents import OBJECT as NAME

__all__ = ["NAME", "read"]

FORMAT = Format(
    name=NAME,
    label="joblib or pickle",
    rank=35,
    type=ModelType.PYTHON,
    suffixes=(".joblib",),
    tried_for=(".pkl", ".pickle"),
    names=(
        (".sav", r"(?P<stem>.*)\.sav"),
        (".kv", r"(?P<stem>.*)\.kv"),
        *(
            (suffix, rf"(?P<stem>.*)\.(?:pkl|pickle|joblib)\{suffix}")
            for suffix in (".gz", ".bz2", ".xz", ".lz4", ".z", ".zst")
        ),
    ),
    holds_pickles=True,
    is_archive=True,
    read=read,
    usage=Usage(
        "joblib",
        "pip install joblib scikit-learn",
        "import joblib\n\n"
        "model = joblib.load({path!r})  # a pickle: only from people whom you trust\n"
        "print(model)",
        (
            ModelType.SKLEARN, ModelType.XGBOOST, ModelType.LIGHTGBM, ModelType.CATBOOST,
            ModelType.SPACY, ModelType.PYTHON,
        ),
    ),
)  # fmt: skip
