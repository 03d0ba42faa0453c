"""Code that comes with a model, and templates that reach for Python: found, named, and nothing real
called unsafe.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from discovery.engine.core.types import Found
from discovery.engine.core.vocabulary import Severity
from discovery.engine.untrusted import chat_templates
from tests.support import builders

Read = Callable[..., dict[str, Found]]

LLAMA = (
    "{{- bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}{{ '[INST] ' +"
    " message['content'] | trim + ' [/INST]' }}{% elif message.role == 'assistant' %}{{"
    " message['content'] }}{{ eos_token }}{% else %}{{ raise_exception('Only __user__ and"
    " assistant!') }}{% endif %}{% endfor %}"
)
QWEN = (
    "{%- if tools %}{{- '<|im_start|>system\\n' }}{%- for tool in tools %}{{- tool | tojson }}{%-"
    " endfor %}{%- endif %}{%- set ns = namespace(multi_step_tool=true,"
    " last_query_index=messages|length - 1) %}{%- for message in messages[::-1] %}{%- set index ="
    " (messages|length - 1) - loop.index0 %}{%- set ns.last_query_index = index %}{%- endfor %}{#"
    " __class__ in a comment #}{%- macro render(x) %}{{ x }}{%- endmacro %}{%- for i in range(10)"
    " %}{{ i }}{% endfor %}"
)


HARMLESS = [
    LLAMA, QWEN, "", "plain text with {braces} and __class__",
    "{{ messages[0].content.split('</think>')[-1] }}",
    "{# {{ ''.__class__ }} #}", "{% raw %}{{ ''.__class__ }}{% endraw %}", "{{ {'a': {'b': []}} }}",
    "{{ '}}' }} .__class__ {{ '{{' }}",
]  # fmt: skip


@pytest.mark.parametrize("template", HARMLESS)
def test_templates_of_real_models_are_not_odd(template: str) -> None:
    assert chat_templates.oddities(template) == []


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ messages['__class__'] }}",
        "{{ ''|attr('__class__') }}",
        "{{ x|attr(name) }}",
        "{{ cycler.__init__.__globals__.os.popen('true').read() }}",
        "{{ lipsum['__globals__'] }}",
        "{{ self.__init__ }}",
        "{{ ''['\\x5f\\x5fclass\\x5f\\x5f'] }}",
        "{% set x = f.gi_frame %}",
        "{%- if x.mro() %}{% endif %}",
        "{{ '}}' ~ ''.__class__ }}",
        "{{ {'a': {}} and ''.__class__ }}",
        "{{ '{#' }}{{ ''.__class__ }}{{ '#}' }}",
        "{{ '{% raw %}' }}{{ ''.__class__ }}{{ '{% endraw %}' }}",
        "{% if '%}' and ''.__class__ %}{% endif %}",
        "{{ 5 %}} }}{{ ''.__class__ }}",
    ],
)
def test_templates_that_reach_for_python_are_errors(template: str) -> None:
    assert [oddity.severity for oddity in chat_templates.oddities(template)][:1] == [Severity.ERROR]


@pytest.mark.parametrize(
    "template",
    [
        "{% include 'x' %}",
        "{%- import 'x' as y %}",
        "{% for i in range(10 * 1000 * 1000) %}{% endfor %}",
        "{% for i in range(0, 99999999) %}",
    ],
)
def test_templates_that_ask_too_much_are_warned_about(template: str) -> None:
    assert [oddity.severity for oddity in chat_templates.oddities(template)] == [Severity.WARNING]


def test_a_huge_template_is_looked_at_as_far_as_it_goes() -> None:
    assert (
        "characters" in chat_templates.oddities("x" * (chat_templates.MAX_TEMPLATE + 1))[0].reason
    )


def messages(found: Found, code: str) -> list[str]:
    return [problem.message for problem in found.problems if problem.code == code]


@pytest.fixture
def folder(models_root: Path) -> Path:
    builders.transformers(models_root / "tiny-llama")
    return models_root / "tiny-llama"


def one(read: Read, folder: Path) -> Found:
    return read(folder.parent)["tiny-llama"]


def add(path: Path, **fields: object) -> None:
    builders.write_json(path, {**(json.loads(path.read_text()) if path.exists() else {}), **fields})


def test_a_clean_model_names_no_code(folder: Path, read: Read) -> None:
    found = one(read, folder)
    assert messages(found, "remote_code") == []
    assert found.status == "READY"


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("modeling_x.XForCausalLM", "modeling_x.py, which lies beside it"),
        ("missing_y.Y", "missing_y.py, which is not here"),
        ("other/repo--modeling_z.Z", "modeling_z.py of other/repo, fetched when it is needed"),
    ],
)
@pytest.mark.parametrize(
    "file", ["config.json", "tokenizer_config.json", "preprocessor_config.json"]
)
def test_auto_map_names_file_class_and_place(
    file: str, reference: str, says: str, folder: Path, read: Read
) -> None:
    (folder / "modeling_x.py").write_text("class XForCausalLM: ...\n")
    add(folder / file, auto_map={"AutoModel": reference, "AutoTokenizer": [reference, None]})
    found = one(read, folder)
    (message,) = [text for text in messages(found, "remote_code") if "trust_remote_code" in text]
    assert says in message
    assert file in message
    assert found.status == "READY"


def test_python_files_that_nothing_asks_for_are_a_remark(folder: Path, read: Read) -> None:
    (folder / "convert.py").write_text("")
    found = one(read, folder)
    assert [problem.severity for problem in found.problems if problem.code == "remote_code"] == [
        Severity.INFO
    ]
    assert "convert.py" in messages(found, "remote_code")[0]


@pytest.mark.parametrize(
    "name", ["tokenizer_config.json", "chat_template.json", "chat_template.jinja"]
)
def test_an_unsafe_template_makes_the_model_unsafe(name: str, folder: Path, read: Read) -> None:
    evil = "{{ ''.__class__.__mro__ }}"
    if name.endswith(".jinja"):
        (folder / name).write_text(evil)
    else:
        add(
            folder / name,
            chat_template=(
                [{"name": "default", "template": LLAMA}, {"name": "tool_use", "template": evil}]
                if "tok" in name
                else evil
            ),
        )
    found = one(read, folder)
    assert found.status == "UNSAFE"
    assert name in messages(found, "unsafe_template")[0]


def test_a_gguf_header_with_an_unsafe_template_is_unsafe(models_root: Path, read: Read) -> None:
    path = models_root / "tiny.Q4_0.gguf"
    builders.gguf_model(
        path, "tiny", builders.Sizes(), "Q4_0", {"tokenizer.chat_template": "{{ x.__globals__ }}"}
    )
    (found,) = read(models_root).values()
    assert found.status == "UNSAFE"
    assert "__globals__" in messages(found, "unsafe_template")[0]


def test_steps_of_a_pipeline_from_its_own_files_are_named(models_root: Path, read: Read) -> None:
    builders.sentence_transformers(models_root / "st")
    builders.write_json(
        models_root / "st/modules.json",
        [
            {"idx": 0, "type": "custom_st.Transformer"},
            {"type": "sentence_transformers.models.Pooling"},
        ],
    )
    (found,) = read(models_root).values()
    assert ["custom_st.py" in text for text in messages(found, "remote_code")] == [True]


@pytest.mark.parametrize(
    ("operator", "code"),
    [
        ("PyFunc", "python_op"),
        ("EagerPyFunc", "python_op"),
        ("WriteFile", "file_op"),
        ("MatMul", None),
    ],
)
def test_operators_that_run_python_or_touch_files_are_named(
    operator: str, code: str | None, models_root: Path, read: Read
) -> None:
    builders.savedmodel(
        models_root / "saved",
        [("w", "F32", (2, 2))],
        [("x", "F32", (1, 2))],
        [("y", "F32", (1, 2))],
    )
    path = models_root / "saved/saved_model.pb"
    node = b"\x0a\x01n\x12" + bytes([len(operator)]) + operator.encode()
    graph = b"\x0a" + bytes([len(node)]) + node
    meta = b"\x12" + bytes([len(graph)]) + graph
    path.write_bytes(path.read_bytes() + b"\x12" + bytes([len(meta)]) + meta)
    (found,) = read(models_root).values()
    assert [
        problem.code for problem in found.problems if problem.code in ("python_op", "file_op")
    ] == ([code] if code else [])
    assert (found.status == "UNSAFE") == (code == "python_op")
