"""One model: facts with their sources, card, files, tensors; and what is said when the disk tells
another story.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from discovery.models import FileChecksum, RegisteredModel, Root, Visibility
from discovery.services.insight import model_contents
from discovery.services.metadata import metadata
from tests.support import builders
from tests.support.page_text import page_text
from tests.support.timing import at_most

Make = Callable[..., RegisteredModel]
Register = Callable[[str], RegisteredModel]

HTMX = {"HX-Request": "true"}
TABS = ("", "files/", "tensors/", "family/")


def get(client: Client, path: str, **query: Any) -> str:
    response = client.get(f"/models/{path}", query)
    assert response.status_code == 200
    return page_text(response)


def test_each_fact_stands_with_the_place_it_was_read_in(
    admin_client: Client, make_model: Make
) -> None:
    make_model(
        architecture="LlamaForCausalLM",
        context_length=131072,
        parameter_count=8_030_261_248,
        language_support=["en", "de"],
        quantization="Q4_K_M",
        extracted={"bits_per_weight": 4.85, "active_parameter_count": 12_900_000_000},
    )
    html = get(admin_client, "tiny-model/")
    assert (
        '<dt>Architecture</dt><dd><bdi>LlamaForCausalLM</bdi></dd><dd class="src">config.json</dd>'
        in html
    )
    assert "<bdi>131,072</bdi>" in html
    assert '<bdi>8.0 B</bdi><span class="faint">12.9 B active</span>' in html
    assert '<bdi>Q4_K_M</bdi><span class="faint">4.85 bits/weight</span>' in html
    assert "<bdi>en, de</bdi>" in html
    assert "<bdi>Transformers</bdi>" in html


def test_unknown_facts_are_left_out(admin_client: Client, make_model: Make) -> None:
    make_model()
    html = get(admin_client, "tiny-model/")
    assert "None" not in html
    assert "License" not in html
    assert "Bits per weight" not in html


def test_what_a_person_decided_says_who(
    admin_client: Client, admin_user: User, make_model: Make
) -> None:
    metadata.edit(
        make_model(license="mit"),
        {"license": "apache-2.0", "author": "Anna"},
        by=admin_user,
        channel="page",
    )
    html = get(admin_client, "tiny-model/")
    assert (
        '<bdi>apache-2.0</bdi></dd><dd class="src edited" title="The files say: mit">edited by'
        " admin</dd>" in html
    )
    assert 'title="No value detected">edited by admin' in html


def test_objects_and_fields_of_ones_own_become_rows(admin_client: Client, make_model: Make) -> None:
    values = {
        "performance_metrics": {"accuracy": 0.85, "nothing": None},
        "custom": {"team": {"lead": "Ada", "size": 3}, "checked": True, "empty": {}},
    }
    make_model(extracted=values)
    html = get(admin_client, "tiny-model/")
    for text in (
        "Performance metrics",
        "<dt>accuracy</dt><dd><bdi>0.85</bdi></dd>",
        "Other fields",
        "<dt>lead</dt><dd><bdi>Ada</bdi></dd>",
        "<dt>size</dt><dd><bdi>3</bdi></dd>",
        "<bdi>yes</bdi>",
    ):
        assert text in html
    assert "nothing" not in html
    assert "<dt>empty</dt>" not in html


def test_problems_say_what_where_and_what_to_do(admin_client: Client, make_model: Make) -> None:
    problems = [
        {
            "code": "truncated",
            "message": "a.gguf is cut short",
            "path": "x/a.gguf",
            "severity": "error",
            "offset": 1234567,
        }
    ]
    make_model(status="INCOMPLETE", problems=problems)
    html = get(admin_client, "tiny-model/")
    assert "a.gguf is cut short" in html
    assert "<bdi>x/a.gguf</bdi>, at byte 1,234,567" in html
    assert "The download broke off" in html


def test_variants_are_listed_with_size_and_status(admin_client: Client, make_model: Make) -> None:
    common = {"path": "x", "format": "gguf", "files": ["x"], "dtype": None, "bits_per_weight": 4.5}
    one = {
        **common,
        "name": "Q4_K_M",
        "size_bytes": 4_100_000_000,
        "status": "READY",
        "quantization": "Q4_K_M",
    }
    two = {
        **common,
        "name": "Q8_0",
        "size_bytes": 7_700_000_000,
        "status": "CORRUPT",
        "quantization": "Q8_0",
    }
    make_model(variants=[one, two])
    html = get(admin_client, "tiny-model/")
    assert "Variants" in html
    assert "GGUF · 4.5 bits/weight" in html
    assert "7.7 GB" in html
    assert '<span class="status bad">Corrupt</span>' in html


@pytest.mark.parametrize("tab", TABS)
def test_every_tab_of_a_model_one_may_not_see_does_not_exist(
    tab: str, reader_client: Client, make_model: Make
) -> None:
    make_model("secret", visibility=Visibility.ADMIN_ONLY)
    make_model("restricted")
    make_model("open", visibility=Visibility.PUBLIC)
    assert reader_client.get(f"/models/secret/{tab}").status_code == 404
    assert reader_client.get(f"/models/restricted/{tab}").status_code == 404
    assert reader_client.get(f"/models/open/{tab}").status_code == 200


def test_readers_are_offered_no_editing(reader_client: Client, make_model: Make) -> None:
    make_model(visibility=Visibility.PUBLIC)
    html = get(reader_client, "tiny-model/")
    assert "/admin/" not in html
    assert "Visibility" not in html


@pytest.mark.parametrize("tab", TABS)
@pytest.mark.parametrize(
    "model_id",
    ["nothing", "%00", "..%2F..", "%E2%80%AE", "%F0%9F%98%80", "x" * 3000, "%27%20OR%201=1"],
)
def test_ids_that_lead_nowhere_are_not_found(tab: str, model_id: str, admin_client: Client) -> None:
    response = admin_client.get(f"/models/{model_id}/{tab}")
    assert response.status_code == 404
    assert b"Page not found" in response.content


@pytest.mark.parametrize("tab", TABS)
def test_ids_of_any_kind_work(tab: str, admin_client: Client, make_model: Make) -> None:
    record = make_model("Ünïcode 模型 #1?&", model_id="ünïcode 模型 #1?&")
    assert (
        admin_client.get(
            f"/models/{record.model_id.replace('#', '%23').replace('?', '%3F')}/{tab}"
        ).status_code
        == 200
    )


@pytest.mark.parametrize("tab", [*TABS, "access/"])
@pytest.mark.parametrize(
    "name", ["x" * 500, "模型" * 250, "\u0645\u0631\u062d\u0628\u0627 <b>", "a\"b'c&d"]
)
def test_names_of_any_length_and_script_leave_every_tab_whole(
    tab: str, name: str, admin_client: Client, make_model: Make
) -> None:
    variant = {
        "name": name,
        "path": name,
        "format": "gguf",
        "status": "READY",
        "size_bytes": 5,
        "files": [f"{name}/a.gguf"],
    }
    make_model(
        name,
        model_id="odd",
        variants=[variant],
        files=[[f"{name}/a.gguf", 5]],
        size_bytes=5,
        base_model=name[:300],
    )
    html = get(admin_client, f"odd/{tab}")
    assert "</html>" in html
    assert "<b>" not in html


@pytest.mark.parametrize("tab", TABS)
def test_a_model_without_files_leaves_every_tab_whole(
    tab: str, admin_client: Client, make_model: Make
) -> None:
    make_model(files=[], variants=[], file_count=0)
    assert "</html>" in get(admin_client, f"tiny-model/{tab}")


@pytest.mark.parametrize("tab", TABS)
def test_the_number_of_queries_is_fixed(
    tab: str, admin_client: Client, make_model: Make, django_assert_max_num_queries: Any
) -> None:
    make_model(files=[[f"tiny-model/{n}.bin", 1] for n in range(500)])
    with django_assert_max_num_queries(17):
        get(admin_client, f"tiny-model/{tab}")


@pytest.mark.parametrize("tab", TABS)
def test_missing_models_say_so_on_every_tab(
    tab: str, admin_client: Client, make_model: Make
) -> None:
    make_model(status="MISSING", missing_since=timezone.now(), files=[["tiny-model/README.md", 3]])
    html = get(admin_client, f"tiny-model/{tab}")
    assert "Missing since" in html
    assert "There is no README.md" not in html


def test_the_card_is_read_from_the_disk_without_its_front_matter(
    admin_client: Client, models_root: Path, register: Register
) -> None:
    builders.transformers(models_root / "bert")
    (models_root / "bert/README.md").write_text(
        "---\nlicense: mit\n---\n# Hello\n\nSome *words*.\n<script>alert(1)</script>\n"
    )
    html = get(admin_client, register("bert").model_id + "/")
    assert "<h3>Hello</h3>" in html
    assert "<em>words</em>" in html
    assert "license: mit" not in html
    assert "alert(1)" not in html
    assert "README.md, scripts and remote images removed" in html


def test_a_long_card_is_cut_and_says_so(
    admin_client: Client, models_root: Path, register: Register
) -> None:
    builders.transformers(models_root / "bert")
    (models_root / "bert/README.md").write_text("words " * 100_000)
    html = get(admin_client, register("bert").model_id + "/")
    assert "Only the first 200 kB of the card are shown." in html
    assert len(html) < 300_000


def test_a_card_that_vanished_or_is_a_link_out_of_the_root_is_explained(
    admin_client: Client, models_root: Path, register: Register, tmp_path: Path
) -> None:
    builders.transformers(models_root / "bert")
    record = register("bert")
    card = models_root / "bert/README.md"
    card.unlink()
    assert "README.md cannot be shown: it is not there any more." in get(
        admin_client, f"{record.model_id}/"
    )
    (tmp_path / "secret").write_text("top secret")
    card.symlink_to(tmp_path / "secret")
    html = get(admin_client, f"{record.model_id}/")
    assert "it leads to a place outside the root" in html
    assert "top secret" not in html
    card.unlink()
    os.mkfifo(card)
    assert "it is not a regular file" in get(admin_client, f"{record.model_id}/")


def test_files_are_listed_with_size_and_kind(admin_client: Client, make_model: Make) -> None:
    make_model(
        files=[
            ["tiny-model/config.json", 700],
            ["tiny-model/model.safetensors", 16_100_000_000],
            ["tiny-model/<b>.txt", 1],
        ],
        file_count=3,
    )
    html = get(admin_client, "tiny-model/files/")
    assert (
        '<bdi>config.json</bdi></td><td class="wide-only muted nowrap">configuration</td>' in html
    )
    assert '<td class="num">700 B</td>' in html
    assert "weights, safetensors" in html
    assert "16.1 GB" in html
    assert "&lt;b&gt;.txt" in html
    assert "3 files" in html


def test_bytes_are_shown_by_kind_and_files_sorted_by_size(
    admin_client: Client, make_model: Make
) -> None:
    make_model(
        files=[
            ["tiny-model/a.json", 100],
            ["tiny-model/b.safetensors", 900],
            ["tiny-model/c.json", 200],
        ],
        file_count=3,
        size_bytes=1200,
    )
    html = get(admin_client, "tiny-model/files/", sort="-size")
    assert "<span>Weights, safetensors</span>" in html
    assert "900 B · 1 file" in html
    assert html.index("b.safetensors") < html.index("c.json") < html.index("a.json")
    assert 'aria-sort="descending"' in html
    assert get(admin_client, "tiny-model/files/", sort="nonsense").index("a.json") > 0


def test_files_say_which_other_models_hold_the_same_content(
    admin_client: Client, reader_client: Client, make_model: Make
) -> None:
    record = make_model(
        "one", visibility=Visibility.PUBLIC, files=[["one/a.bin", 5]], fingerprint="a" * 32
    )
    other = make_model("other", fingerprint="b" * 32)
    for model, path in ((record, "a.bin"), (other, "b.bin")):
        FileChecksum.objects.create(
            model=model,
            path=path,
            size=5,
            mtime_ns=1,
            sha256="c" * 64,
            blake3="",
            checked_at=timezone.now(),
        )
    assert 'the same content in <a class="link" href="/models/other/">' in get(
        admin_client, "one/files/"
    )
    assert "the same content" not in get(reader_client, "one/files/")


def test_models_that_look_alike_are_named_on_the_files_tab(
    admin_client: Client, reader_client: Client, make_model: Make
) -> None:
    make_model("one", visibility=Visibility.PUBLIC, size_bytes=5)
    make_model("twin", size_bytes=5)
    assert 'Looks like <a href="/models/twin/">' in get(admin_client, "one/files/")
    assert "Looks like" not in get(reader_client, "one/files/")


def test_twenty_thousand_files_come_two_hundred_at_a_time(
    admin_client: Client, make_model: Make
) -> None:
    make_model(
        files=[[f"tiny-model/part/{number:05}.bin", number] for number in range(20_000)],
        file_count=20_000,
    )
    html = get(admin_client, "tiny-model/files/", page=100)
    assert html.count("<tr>") == 201
    assert "19,801–20,000 of 20,000" in html
    assert get(admin_client, "tiny-model/files/", q="part 00777").count("<tr>") == 2


def test_tensors_are_read_from_the_headers_now(
    admin_client: Client, models_root: Path, register: Register
) -> None:
    builders.transformers(models_root / "llama", shards=2)
    record = register("llama")
    html = get(admin_client, f"{record.model_id}/tensors/", view="all")
    assert "model.embed_tokens.weight" in html
    assert (
        '<td class="mono wide-only nowrap">1,000 × 64</td><td class="num wide-only">64,000</td>'
        in html
    )
    assert '<td class="num">128.0 kB</td>' in html
    assert "in 2 files" in html
    assert html.index("layers.0.") < html.index("layers.1.")
    part = page_text(
        admin_client.get(f"/models/{record.model_id}/tensors/", {"q": "EMBED"}, headers=HTMX)
    )
    assert "1 tensor<" in part
    assert "<html" not in part


def test_tensors_are_grouped_by_module_and_opened_one_by_one(
    admin_client: Client, models_root: Path, register: Register
) -> None:
    builders.transformers(models_root / "llama", layers=5)
    record = register("llama")
    html = get(admin_client, f"{record.model_id}/tensors/")
    assert "<bdi>model.layers.4</bdi>" not in html
    assert 'hx-get="?at=model.layers.4&amp;part=1"' in html
    assert 'href="?at=model.layers.4"' in html
    part = page_text(
        admin_client.get(
            f"/models/{record.model_id}/tensors/",
            {"at": "model.layers.4.self_attn", "part": "1"},
            headers=HTMX,
        )
    )
    assert part.strip().startswith('<ul class="tree">')
    assert "q_proj" in part
    page = get(admin_client, f"{record.model_id}/tensors/", at="model.layers.4")
    assert "self_attn" in page
    assert "All modules" in page
    assert "There is no module of this name." in get(
        admin_client, f"{record.model_id}/tensors/", at="nothing\0"
    )


def test_five_thousand_tensors_are_quick_and_small(
    admin_client: Client, models_root: Path, register: Register
) -> None:
    names = [
        f"model.layers.{layer}.block.{part}.weight" for layer in range(100) for part in range(50)
    ]
    builders.safetensors(models_root / "big.safetensors", [(name, "F16", (8, 8)) for name in names])
    record = register("big.safetensors")
    get(admin_client, f"{record.model_id}/tensors/")  # templates are compiled once
    with at_most(6):
        html = get(admin_client, f"{record.model_id}/tensors/")
    assert "5,000 tensors" in html
    assert len(html) < 120_000


def test_one_weight_file_can_be_chosen_and_no_other_file(
    admin_client: Client, models_root: Path, register: Register
) -> None:
    builders.transformers(models_root / "llama", shards=2)
    record = register("llama")
    one = get(
        admin_client, f"{record.model_id}/tensors/", file="llama/model-00002-of-00002.safetensors"
    )
    assert "in 1 file<" in one
    assert 'value="llama/model-00002-of-00002.safetensors" selected' in one
    assert "in 2 files" in get(admin_client, f"{record.model_id}/tensors/", file="../../etc/passwd")


def test_tensor_names_are_sorted_as_people_count(models_root: Path, register: Register) -> None:
    tensors = [(f"layers.{number}.w", "F32", (1,)) for number in range(12)]
    builders.safetensors(models_root / "x.safetensors", [*tensors, ("9" * 50, "F32", (1,))])
    rows = model_contents.tensors(register("x.safetensors")).rows
    assert [row.tensor.name for row in rows[1:]] == [f"layers.{number}.w" for number in range(12)]


def test_weight_files_that_are_gone_or_broken_say_what_is_the_matter(
    admin_client: Client, models_root: Path, register: Register
) -> None:
    builders.transformers(models_root / "llama", shards=2)
    record = register("llama")
    (models_root / "llama/model-00001-of-00002.safetensors").unlink()
    (models_root / "llama/model-00002-of-00002.safetensors").write_bytes(b"\x10")
    html = get(admin_client, f"{record.model_id}/tensors/")
    assert "model-00001-of-00002.safetensors cannot be shown: it is not there any more" in html
    assert "Invalid header" in html
    assert "No tensors to show" in html


def test_no_more_files_are_opened_than_the_limit_and_it_says_so(
    admin_client: Client, models_root: Path, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_contents, "MAX_FILES", 2)
    builders.transformers(models_root / "llama", layers=6, shards=4)
    html = get(admin_client, f"{register('llama').model_id}/tensors/")
    assert "These are the tensors of the first 2 of 4 weight files." in html


def test_no_more_tensors_are_listed_than_the_limit_and_it_says_so(
    admin_client: Client, models_root: Path, register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_contents, "MAX_TENSORS", 3)
    builders.transformers(models_root / "llama", shards=1)
    html = get(admin_client, f"{register('llama').model_id}/tensors/")
    assert "3 tensors" in html
    assert "Only the first 3 tensors are listed." in html


def test_a_root_known_by_a_link_is_read_all_the_same(tmp_path: Path, make_model: Make) -> None:
    builders.transformers(tmp_path / "deep/real/llama")
    (tmp_path / "link").symlink_to(tmp_path / "deep/real")
    root = Root.objects.create(path=str(tmp_path / "link"))
    record = make_model(
        "llama",
        root=root,
        files=[["llama/README.md", 1]],
        variants=[{"name": "x", "path": "llama", "files": ["llama/model.safetensors"]}],
    )
    assert model_contents.tensors(record).rows
    card = model_contents.card(record)
    assert card is not None
    assert card.text


def test_models_without_weights_have_no_tensors_to_show(
    admin_client: Client, make_model: Make
) -> None:
    make_model()
    assert "This model has no weight files on disk." in get(admin_client, "tiny-model/tensors/")
