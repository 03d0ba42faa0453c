"""The Overview: tiles, treemap, bars, what needs attention, growth; and what readers do not see of
it.
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from discovery.models import Finding, RegisteredModel, Root, ScanRun, Visibility
from discovery.web.shared import treemap
from discovery.web.shared.treemap import Group, Item
from tests.support.page_text import page_text

Make = Callable[..., RegisteredModel]

HTMX = {"HX-Request": "true"}
VARIANTS = [
    {
        "name": "Q4_K_M",
        "path": "x",
        "format": "gguf",
        "size_bytes": 4_000,
        "status": "READY",
        "files": [],
    },
    {
        "name": "Q8_0",
        "path": "x",
        "format": "gguf",
        "size_bytes": 8_000,
        "status": "CORRUPT",
        "files": [],
    },
]


def get(client: Client, **query: Any) -> str:
    response = client.get("/", query)
    assert response.status_code == 200
    return page_text(response)


def trouble(model: RegisteredModel, code: str = "shards_missing") -> Finding:
    now = timezone.now()
    values = {
        "severity": "error",
        "message": "one part is missing",
        "first_seen_at": now,
        "last_seen_at": now,
    }
    return Finding.objects.create(model=model, source="scan", code=code, **values)


def test_tiles_say_how_many_how_large_what_is_wrong_and_when_it_was_scanned(
    admin_client: Client, make_model: Make
) -> None:
    make_model("a", size_bytes=2_000_000, fingerprint="1" * 32)
    trouble(
        make_model(
            "b",
            size_bytes=1_000_000,
            status="INCOMPLETE",
            fingerprint="2" * 32,
            added_at=timezone.now() - timedelta(days=30),
        )
    )
    now = timezone.now()
    ScanRun.objects.create(
        state="done",
        trigger="page",
        started_at=now - timedelta(seconds=3),
        finished_at=now,
        found=2,
        changed=1,
    )
    html = get(admin_client)
    for text in (
        "+1 this week",
        "3.0 MB",
        "no duplicates seen",
        "1 incomplete · 2 without a license",
        "2 checked · 1 changed · just now",
        "3.0 s",
    ):
        assert text in html


def test_models_that_look_alike_are_told_as_at_most_so_much(
    admin_client: Client, make_model: Make
) -> None:
    make_model("a", size_bytes=2_000_000)
    make_model("b", size_bytes=2_000_000)
    assert "up to 2.0 MB in models that look alike" in get(admin_client)


def test_an_empty_registry_says_what_to_do(
    admin_client: Client, reader_client: Client, settings: Any
) -> None:
    settings.MODELS_DIR = Path("/srv/my-models")
    assert "<code>/srv/my-models</code>" in get(admin_client)
    html = get(reader_client)
    assert "No models are shared with you" in html
    assert "my-models" not in html


def test_readers_see_their_models_and_nothing_of_administrators(
    reader_client: Client, make_model: Make
) -> None:
    make_model("open-model", visibility=Visibility.PUBLIC, size_bytes=1_000, primary="LANGUAGE")
    trouble(make_model("secret-model", size_bytes=9_000_000, primary="VISION"))
    ScanRun.objects.create(
        state="running",
        trigger="page",
        heartbeat_at=timezone.now(),
        host=socket.gethostname(),
        pid=os.getpid(),
    )
    html = get(reader_client)
    assert "open-model" in html
    for hidden in (
        "secret-model",
        "Vision",
        "Needs attention",
        "Scan in progress",
        "Scan now",
        "Growth",
        "/srv/models",
        "9.0 MB",
    ):
        assert hidden not in html
    assert "No model" not in get(reader_client, disk="LANGUAGE", model="secret-model")
    assert "secret-model" not in get(reader_client, disk="LANGUAGE", model="secret-model")
    assert reader_client.get("/overview/live/").status_code == 403


def test_bars_lead_to_the_models_they_count(admin_client: Client, make_model: Make) -> None:
    make_model("a", primary="LANGUAGE")
    make_model("b", extracted={"type": "ONNX"})
    html = get(admin_client)
    assert '<a href="/models/?primary=LANGUAGE">Language</a>' in html
    assert '<a href="/models/?type=ONNX">ONNX Runtime</a>' in html
    assert '<a href="/models/?primary=none">Uncategorized</a>' in html


def test_many_runtimes_share_a_bar_that_leads_to_all_of_them(
    admin_client: Client, make_model: Make
) -> None:
    kinds = ("ONNX", "PEFT", "PYTORCH", "OPENVINO", "TENSORFLOW", "TFLITE", "COREML", "MLX")
    for kind in kinds:
        make_model(kind, extracted={"type": kind})
    assert re.search(r'href="/models/\?type=\w+&amp;type=\w+">2 others</a>', get(admin_client))


def test_the_map_leads_from_categories_to_models_to_variants(
    admin_client: Client, make_model: Make
) -> None:
    make_model("mixtral", primary="LANGUAGE", size_bytes=13_000, variants=VARIANTS)
    make_model("clip", primary="VISION", size_bytes=9_000)
    top = get(admin_client)
    assert 'href="/?disk=LANGUAGE&amp;model=mixtral"' in top
    assert "Language, 13.0 kB, 1 model" in top
    category = get(admin_client, disk="LANGUAGE")
    assert "1 model, 13.0 kB on disk" in category
    assert "clip, 9.0 kB" not in category
    model = get(admin_client, disk="LANGUAGE", model="mixtral")
    for text in (
        "Q4_K_M, 4.0 kB",
        "Q8_0, 8.0 kB, corrupt",
        "other files, 1.0 kB",
        "Open the model",
        'href="/models/mixtral/files/"',
    ):
        assert text in model


def test_models_beyond_the_limit_share_a_rectangle(
    admin_client: Client, make_model: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("discovery.web.disk_map.MAX_MODELS", 2)
    for number in range(5):
        make_model(f"m{number}", primary="AUDIO", size_bytes=1_000)
    assert "others, 3.0 kB, 3 models" in get(admin_client)
    assert 'href="/models/?sort=-size&amp;primary=AUDIO"' in get(admin_client, disk="AUDIO")


@pytest.mark.parametrize(
    "query",
    [
        {"disk": "NOTHING"},
        {"disk": "LANGUAGE", "model": "gone"},
        {"disk": "LANGUAGE", "model": "\0"},
        {"disk": "\0" * 9},
    ],
)
def test_an_address_that_leads_nowhere_shows_the_whole_and_says_so(
    query: dict[str, str], admin_client: Client, make_model: Make
) -> None:
    make_model("a", primary="LANGUAGE", size_bytes=5)
    html = get(admin_client, **query)
    assert "What the address asks for is not there" in html
    assert "a, 5 B" in html


def test_a_click_on_the_map_swaps_the_map_alone(admin_client: Client, make_model: Make) -> None:
    make_model("a", primary="LANGUAGE", size_bytes=5)
    response = admin_client.get("/", {"disk": "LANGUAGE"}, headers=HTMX)
    html = page_text(response)
    assert "<html" not in html
    assert html.strip().startswith('<div class="body busy" id="disk">')
    assert response.headers["Vary"].count("HX-Request") == 1


def test_models_without_any_bytes_draw_no_map(admin_client: Client, make_model: Make) -> None:
    make_model("hosted", status="REMOTE")
    assert "Nothing here takes any room on a disk." in get(admin_client)


def test_hostile_and_long_names_stay_text(admin_client: Client, make_model: Make) -> None:
    for index, name in enumerate(
        ("<script>alert(1)</script>", "模型" * 200, "مرحبا بالعالم", "x" * 500)
    ):
        trouble(
            make_model(
                name,
                model_id=f"m{index}",
                size_bytes=1_000_000,
                primary="LANGUAGE",
                path=f"m{index}",
            )
        )
    html = get(admin_client)
    assert "<script>alert" not in html
    assert "مرحبا" in html


def test_what_needs_attention_can_be_reviewed(admin_client: Client, make_model: Make) -> None:
    trouble(make_model("llava"))
    html = get(admin_client)
    assert "Shards missing" in html
    assert "one part is missing" in html
    assert 'href="/models/llava/health/"' in html
    assert "All 1" in html


def test_growth_is_a_line_and_a_table_once_there_are_two_days(
    admin_client: Client, make_model: Make
) -> None:
    make_model()
    assert "appears after two days of scans" in get(admin_client)
    for days, count in ((3, 10), (1, 20)):
        ScanRun.objects.create(
            state="done",
            trigger="page",
            finished_at=timezone.now() - timedelta(days=days),
            found=count,
        )
    html = get(admin_client)
    assert '<polyline points="0,21 100,2"/>' in html
    assert '<td class="num">20</td>' in html


def test_free_space_is_shown_for_each_disk_and_what_is_out_of_reach(
    admin_client: Client, make_model: Make, tmp_path: Path
) -> None:
    make_model("a", root=Root.objects.create(path=str(tmp_path)), size_bytes=5)
    Root.objects.create(path="/not/there")
    html = get(admin_client)
    assert re.search(r"[\d.]+ [kMGT]B free", html)
    assert "Its size is not known: the folder is not there." in html
    assert "and 1 more root" in html


def test_the_running_scan_is_followed_until_it_is_over(
    admin_client: Client, make_model: Make
) -> None:
    make_model()
    alive = {
        "heartbeat_at": timezone.now(),
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "started_at": timezone.now(),
    }
    run = ScanRun.objects.create(state="running", trigger="page", **alive)
    assert 'hx-get="/overview/live/"' in get(admin_client)
    response = admin_client.get("/overview/live/", headers=HTMX)
    assert response.status_code == 200
    assert "Scan in progress" in page_text(response)
    ScanRun.objects.filter(pk=run.pk).update(state="done", finished_at=timezone.now(), new=4)
    response = admin_client.get("/overview/live/", headers=HTMX)
    assert (response.status_code, response.headers["HX-Retarget"]) == (286, "#overview")
    assert "4 new" in page_text(response)
    assert admin_client.get("/overview/live/").headers["Location"] == "/"


def test_the_number_of_queries_is_fixed(
    admin_client: Client, reader_client: Client, make_model: Make, django_assert_num_queries: Any
) -> None:
    for number in range(30):
        trouble(
            make_model(
                f"m{number}",
                size_bytes=number + 1,
                visibility=Visibility.PUBLIC,
                root=Root.objects.get_or_create(path=f"/r/{number % 3}")[0],
            )
        )
    with django_assert_num_queries(22):
        get(admin_client)
    with django_assert_num_queries(15):
        get(reader_client)


class TestTreemap:
    def test_rectangles_cover_the_picture_in_proportion(self) -> None:
        boxes = treemap.flat(
            [Item("a", 300, "/a"), Item("b", 100, "/b"), Item("nothing", 0, "/c")], 400, 100
        ).boxes
        assert [(box.item.label, box.width * box.height) for box in boxes] == [
            ("a", 30_000),
            ("b", 10_000),
        ]

    def test_what_is_too_small_to_be_seen_is_left_out(self) -> None:
        assert [
            box.item.label
            for box in treemap.flat([Item("a", 10_000, ""), Item("speck", 1, "")], 400, 100).boxes
        ] == ["a"]
        assert treemap.flat([], 400, 100).boxes == ()

    def test_groups_have_a_heading_where_there_is_room(self) -> None:
        groups = [
            Group(Item(name, size, name), (Item(f"{name}1", size, ""),))
            for name, size in (("big", 9_900), ("small", 100))
        ]
        boxes = treemap.grouped(groups, 400, 100).boxes
        assert [(box.item.label, box.strip) for box in boxes] == [
            ("big", True),
            ("big1", False),
            ("small1", False),
        ]

    def test_a_group_without_named_items_is_one_rectangle(self) -> None:
        boxes = treemap.grouped([Group(Item("big", 9, "/big"), ())], 400, 100).boxes
        assert [box.item.href for box in boxes] == ["/big", "/big"]

    def test_labels_are_cut_to_their_rectangle_and_wide_characters_count_twice(self) -> None:
        (narrow,) = treemap.flat([Item("模型模型模型模型", 1, "")], 70, 40).boxes
        assert narrow.lines[0] == "模型模…"
        (flat,) = treemap.flat([Item("name", 1, "")], 70, 15).boxes
        assert flat.lines == ()
