"""Configurations that name code: found in every file, at every depth, by what loaders do with them;
harmless ones name nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discovery.engine.core.types import Found
from discovery.engine.core.vocabulary import Severity
from discovery.engine.sidecars import yaml_file
from discovery.engine.untrusted import config_code
from tests.support import builders

Read = Callable[..., dict[str, Found]]

LAYER = {
    "module": "keras.layers",
    "class_name": "Dense",
    "config": {"units": 2},
    "registered_name": None,
}


def function(module: str, name: str) -> dict[str, Any]:
    return {
        "module": module,
        "class_name": "function",
        "config": name,
        "registered_name": "function",
    }


ERRORS = [
    {"_target_": "os.system"}, {"a": [{"b": {"_target_": "subprocess.Popen"}}]},
    {"_target_": "builtins.eval"}, {"_target_": "torch.hub.load"},
    {"_target_": "importlib.import_module"}, {"_target_": "nemo.utils.os.system"},
    {"target": "shutil.rmtree", "params": {}}, {"class_path": "runpy.run_path"},
    {"hook": "os.popen"}, {"callable": "pty.spawn"}, {"entrypoint": "os:system"},
    {"class_name": "Lambda", "config": {}}, {"deep": [[{"class_name": "keras.layers.Lambda"}]]},
    {"class_name": "Custom>Lambda", "config": {}},
    {"class_name": "__lambda__", "config": {}},
    {"class_name": "Dense", "registered_name": "keras>Lambda"},
    {"class_name": "TorchModuleWrapper", "config": {}},
    function("builtins", "exec"), function("builtins", "__import__"), function("os", "system"),
    function("keras.utils", "get_file"),
    function("keras.src.utils.file_utils", "get_file"), function("keras.saving", "load_model"),
    function("tensorflow.io", "write_file"),
    function("keras.config", "enable_unsafe_deserialization"),
    {"module": "builtins", "class_name": "exec", "config": {}},
    {"_target_": "SlidingWindow", "imports": ["$import os"], "run": "$os.system('x')"},
    {"imports": [], "x": ["$__import__('os')"]},
]  # fmt: skip

WARNINGS = [
    {"auto_map": {"AutoModel": "modeling_x.X"}},
    {"text_config": {"vision": {"auto_map": {"AutoConfig": ["a.B", None]}}}},
    {"trust_remote_code": True}, {"model_kwargs": {"trust_remote_code": True}},
    {"auto_mapping": {"parent_library": "my_module"}},
    {"custom_pipelines": {"x": {"impl": "mine.Pipeline"}}}, {"_attn_implementation": "org/kernel"},
    {"attn_implementation": {"text": "org/kernel"}},
    {"_target_": "my_code.Model"}, {"model": {"target": "mine.Model", "params": {}}},
    {"class_path": "mine.Model", "init_args": {}},
    {"loader_module": "my_loader.module"}, {"_target_": "nemo.core.anything_lower"},
    function("keras_payload.run", "go"), {"module": "kerasx", "class_name": "Dense", "config": {}},
    {"module": "my", "class_name": "A", "config": {}},
    {"class_name": "A", "registered_name": "mine>A", "config": {}},
    {"class_name": "TFSMLayer", "config": {"name": "a"}},
    {"class_name": "TextVectorization", "config": {"vocabulary": "../words.txt"}},
    {"imports": ["$import glob"]},
]  # fmt: skip

HARMLESS = [
    {"_target_": "nemo.collections.asr.modules.ConformerEncoder"}, {"_target_": "torch.nn.Linear"},
    {"target": "ldm.models.LatentDiffusion", "params": {}},
    {"_target_": "torch.optim.adamw.AdamW"}, {"target": "speech"}, {"target": "cpu"},
    {"loader": "data.json"}, {"function": "gelu.py"}, {"hook": "a b.c"},
    {"trust_remote_code": False}, {"auto_map": None},
    {"auto_mapping": {"parent_library": "transformers.models.llama"}},
    {"_attn_implementation": "sdpa"},
    LAYER, {"class_name": "Sequential", "config": {"layers": [LAYER]}},
    function("builtins", "relu"), function("keras.activations", "softmax"),
    function("keras.src.losses.losses", "mean_squared_error"),
    {"class_name": "StringLookup", "config": {"vocabulary": ["a"]}},
    {"class_name": "BertTokenizer"}, {"price": "$5"}, {"path": "${oc.env:HOME}"},
    {"loader_module": "mlflow.sklearn.Model"},
    {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "id2label": {"0": "os.system"}},
]  # fmt: skip


def severities(document: Any) -> set[Severity]:
    return {naming.severity for naming in config_code.namings(document)}


@pytest.mark.parametrize("document", ERRORS, ids=json.dumps)
def test_what_loading_would_run_is_an_error(document: Any) -> None:
    assert Severity.ERROR in severities(document)
    assert Severity.ERROR in severities(json.loads(json.dumps({"a": [{"b": document}]})))


@pytest.mark.parametrize("document", WARNINGS, ids=json.dumps)
def test_code_of_the_model_is_a_warning(document: Any) -> None:
    assert severities(document) == {Severity.WARNING}


@pytest.mark.parametrize("document", HARMLESS, ids=json.dumps)
def test_what_belongs_to_known_libraries_names_nothing(document: Any) -> None:
    assert severities(document) == set()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x: !!python/object/apply:os.system ['a']", Severity.ERROR),
        ("- !!python/name:os.system", Severity.ERROR),
        ("!!python/module:subprocess", Severity.ERROR),
        ("x: !!python/object/new:subprocess.Popen [a]", Severity.ERROR),
        ("a: {b: [!!python/object:mine.Settings {x: 1}]}", Severity.WARNING),
        ("a: &x !!python/object/apply:os.system [a]\nb: *x", Severity.ERROR),
        ("? !!python/object/apply:os.system [a]\n: b", Severity.ERROR),
        ("%TAG !p! tag:yaml.org,2002:python/\n---\nx: !p!object/apply:os.system [a]",
            Severity.ERROR), ("x: !<tag:yaml.org,2002:python/name:os.system> a", Severity.ERROR),
        ("a: 1\n---\nb: !!python/object/apply:os.system [a]", Severity.ERROR),
        ("x: !new:os.system [a]", Severity.ERROR), ("x: !apply:mine.run [a]", Severity.WARNING),
        ("x: !name:torch.nn.ReLU", None),
        ("encoder:\n  _target_: subprocess.run\n", Severity.ERROR),
        ("model:\n  target: os.system\n  params: {}\n", Severity.ERROR),
        ("a: !!python/tuple [1, 2]", None), ("a: !!python/unicode b", None),
        ("a: !!python/object:argparse.Namespace {a: 1}", None), ("a: !ref <b>", None),
        ("trust_remote_code: true", Severity.WARNING),
        ("python_function:\n  loader_module: my_model.code\n", Severity.WARNING),
    ],
)  # fmt: skip
def test_yaml_is_judged_by_tags_and_keys(text: str, expected: Severity | None) -> None:
    found = [
        naming.severity
        for document in yaml_file.documents(text.encode())
        for naming in config_code.namings(document)
    ]
    assert (found[0] if found else None) is expected


@pytest.mark.parametrize(
    "raw",
    [
        b"a: [",
        b"\x00\x01",
        b"- " * 100_000 + b"x",
        b"[" * 100_000,
        b"a: b: c",
        b"\xff\xfe\xfa",
        b"x" * (yaml_file.MAX_BYTES + 1),
    ],
)
def test_yaml_that_cannot_be_read_is_refused_with_a_reason(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w+"):
        yaml_file.documents(raw)


def test_an_alias_to_itself_and_a_bomb_of_aliases_are_walked_once() -> None:
    bomb = b"a: &a [x, x]\n" + b"".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [*{chr(97 + n)}, *{chr(97 + n)}, *{chr(97 + n)}]\n".encode()
        for n in range(20)
    )
    for raw in (b"a: &a [*a, {_target_: os.system}]", bomb):
        for document in yaml_file.documents(raw):
            list(config_code.namings(document))
            assert all(len(pair) == 2 for pair in config_code.templates(document))


KEYS = ["auto_map", "_target_", "class_name", "module", "config", "target", "chat_template", "x"]
LEAVES = st.one_of(st.none(), st.booleans(), st.text(max_size=8))
TREES = st.recursive(
    LEAVES,
    lambda kids: (
        st.lists(kids, max_size=3) | st.dictionaries(st.sampled_from(KEYS), kids, max_size=4)
    ),
    max_leaves=20,
)


@given(TREES)
def test_no_document_makes_the_walk_stumble(document: Any) -> None:
    list(config_code.namings(document))
    assert all(len(pair) == 2 for pair in config_code.templates(document))


@pytest.fixture
def folder(models_root: Path) -> Path:
    builders.transformers(models_root / "tiny-llama")
    return models_root / "tiny-llama"


FILES = {
    "anything.json": {"deep": {"auto_map": {"AutoModel": "x.X"}}},
    "processor_config.json": {"auto_map": {"AutoProcessor": "p.P"}},
    "sub.yaml": "x: {_target_: my.code.Thing}",
    "hparams.yml": "x: !!python/object:mine.Settings {}", "MLmodel": "loader_module: my.code",
    "handler.py": "import os", "custom_generate/generate.py": "def generate(): ...",
    "1/model.py": "x", "code/inference.py": "x",
}  # fmt: skip


@pytest.mark.parametrize(
    "name", [name for name in FILES if "/" not in name or name.startswith("custom_generate")]
)
def test_the_finding_names_the_file_and_the_check_does_not_pass(
    name: str, folder: Path, read: Read
) -> None:
    from discovery.engine.integrity.validate import checks

    content = FILES[name]
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    found = read(folder.parent)["tiny-llama"]
    (problem,) = [problem for problem in found.problems if problem.code == "remote_code"]
    assert problem.path.endswith(name)
    assert problem.severity is Severity.WARNING
    assert found.status == "READY"
    assert {check.name: check.status for check in checks(found)}["no_remote_code"] == "warning"


@pytest.mark.parametrize(
    "name",
    [
        "chat_template.jinja",
        "additional_chat_templates/rag.jinja",
        "chat_template.json",
        "processor_config.json",
        "config.json",
    ],
)
def test_templates_are_looked_at_wherever_they_stand(name: str, folder: Path, read: Read) -> None:
    evil = "{{ cycler.__init__.__globals__ }}"
    (folder / name).parent.mkdir(exist_ok=True)
    if name.endswith(".jinja"):
        (folder / name).write_text(evil)
    else:
        before = json.loads((folder / name).read_text()) if (folder / name).exists() else {}
        (folder / name).write_text(
            json.dumps(before | {"chat_template": {"default": "{{ messages }}", "rag": evil}})
        )
    found = read(folder.parent)["tiny-llama"]
    assert found.status == "UNSAFE"
    assert [problem.path for problem in found.problems if problem.code == "unsafe_template"] == [
        f"tiny-llama/{name}"
    ]


def test_thousands_of_configurations_are_looked_at_as_far_as_the_bound_and_that_is_said(
    folder: Path, read: Read
) -> None:
    (folder / "assets").mkdir()
    for number in range(300):
        (folder / "assets" / f"{number:04}.json").write_text("{}")
    (problem,) = [
        problem
        for problem in read(folder.parent)["tiny-llama"].problems
        if problem.code == "config_unchecked"
    ]
    assert "first 200" in problem.message


@pytest.mark.parametrize(
    "document", [*ERRORS, *WARNINGS, {"a": {"chat_template_x": "{{ x }}"}}], ids=json.dumps
)
def test_what_names_code_is_never_passed_over_unparsed(document: Any) -> None:
    text = json.dumps({"a": [document]})
    spelled = text.replace("a", "\\u0061")
    for raw in (text.encode(), text.encode("utf-16"), text.encode("utf-16-le"), spelled.encode()):
        assert config_code.is_telling(raw)


def test_an_ordinary_configuration_is_not_parsed_for_code() -> None:
    assert not config_code.is_telling(
        json.dumps(
            {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64}
        ).encode()
    )
