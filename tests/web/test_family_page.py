"""The Family tab and the panels of the overview that lead to it and say how to use a model."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from django.test import Client

from discovery.models import RegisteredModel, Visibility
from tests.support.page_text import page_text

Make = Callable[..., RegisteredModel]

WEIGHTS = [
    {
        "name": "safetensors",
        "path": "m",
        "format": "safetensors",
        "status": "READY",
        "size_bytes": 9,
        "files": ["m/model.safetensors"],
    }
]


def get(client: Client, path: str) -> str:
    response = client.get(f"/models/{path}")
    assert response.status_code == 200
    return page_text(response)


def test_the_graph_and_the_lists_lead_to_the_relatives(
    admin_client: Client, make_model: Make
) -> None:
    make_model("base")
    make_model("llama", base_model="org/base", extracted={"base_model_relation": "finetune"})
    make_model(
        "lora",
        base_model="llama",
        extracted={"base_model_relation": "adapter", "type": "PEFT"},
        size_bytes=1_000,
    )
    html = get(admin_client, "llama/family/")
    assert html.count('href="/models/base/"') == 2
    assert html.count('href="/models/lora/"') == 2
    assert "adapter · PEFT adapter" in html
    assert len(re.findall(r'<path d="M\d+,\d+ C', html)) == 2  # one edge to each relative
    assert '<span class="chip">Adapter</span>' in html


def test_a_base_that_is_not_registered_is_named_without_a_link(
    admin_client: Client, make_model: Make
) -> None:
    make_model("llama", base_model="google/gemma-2b")
    html = get(admin_client, "llama/family/")
    assert "google/gemma-2b" in html
    assert "base, not here" in html
    assert 'class="away"' in html


def test_more_relatives_than_the_graph_holds_are_counted_in_it_and_listed_below(
    admin_client: Client, make_model: Make
) -> None:
    make_model("base")
    for number in range(14):
        make_model(f"child-{number:02}", base_model="base")
    html = get(admin_client, "base/family/")
    assert "and 6 more" in html
    assert html.count('href="/models/child-13/"') == 1
    assert html.count('href="/models/child-00/"') == 2


def test_a_model_without_relatives_says_so(
    admin_client: Client, reader_client: Client, make_model: Make
) -> None:
    make_model(visibility=Visibility.PUBLIC)
    assert "No relatives known" in get(admin_client, "tiny-model/family/")
    assert "Its files name no base" in get(admin_client, "tiny-model/")


def test_variants_are_listed_as_family_too(admin_client: Client, make_model: Make) -> None:
    make_model(variants=[{**WEIGHTS[0], "name": name} for name in ("Q4_K_M", "Q8_0")])
    html = get(admin_client, "tiny-model/family/")
    assert "Variants of this model" in html
    assert "No relatives known" not in html


def test_hostile_names_stay_text_in_the_graph(admin_client: Client, make_model: Make) -> None:
    make_model("m", base_model="<script>alert(1)</script>")
    make_model("模型" * 200, model_id="long", path="long", base_model="m")
    html = get(admin_client, "m/family/")
    assert "<script>alert" not in html
    assert "模型模型" in html


def test_the_overview_names_the_nearest_relatives_and_how_to_use_the_model(
    admin_client: Client, make_model: Make
) -> None:
    make_model("base")
    make_model(
        "m",
        base_model="base",
        variants=WEIGHTS,
        files=[["m/model.safetensors", 9]],
        extracted={"capabilities": ["CHAT"]},
    )
    html = get(admin_client, "m/")
    assert 'href="/models/base/"' in html
    assert "pipeline(&quot;text-generation&quot;, model=&#x27;/srv/models/m&#x27;" in html
    assert 'data-copy="vllm serve /srv/models/m --served-model-name m"' in html


def test_unsafe_models_offer_no_lines_and_incomplete_ones_a_word_of_warning(
    admin_client: Client, make_model: Make
) -> None:
    make_model("bad", status="UNSAFE", variants=WEIGHTS)
    make_model("half", status="INCOMPLETE", variants=WEIGHTS)
    assert "data-copy=&quot;from" not in get(admin_client, "bad/")
    assert "so no lines are given" in get(admin_client, "bad/")
    assert "these lines work once its files are whole" in get(admin_client, "half/")


def test_the_number_of_queries_does_not_grow_with_the_family(
    admin_client: Client, make_model: Make, django_assert_num_queries: Any
) -> None:
    make_model("base")
    record = make_model("m", base_model="base")
    counts = []
    for start in (0, 20):
        for number in range(start, start + 20):
            make_model(f"child-{number}", base_model="m")
        with django_assert_num_queries(18) as captured:
            get(admin_client, f"{record.model_id}/family/")
        counts.append(len(captured))
