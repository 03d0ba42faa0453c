"""The list of models as OpenAI-compatible clients read it."""

from __future__ import annotations

from collections.abc import Callable

from django.test import Client

from discovery.models import RegisteredModel
from tests.api.test_access import assert_error


def test_front_ends_list_what_their_token_may_see(
    make_model: Callable[..., RegisteredModel],
    anybody: Client,
    reader: Client,
    administrator: Client,
) -> None:
    model = make_model("open", visibility="PUBLIC", author="meta")
    make_model("hidden", visibility="ADMIN_ONLY")
    shown = {
        "id": "open",
        "object": "model",
        "created": int(model.added_at.timestamp()),
        "owned_by": "meta",
    }
    assert (
        reader.get("/v1/models").json()
        == {"object": "list", "data": [shown]}
        == anybody.get("/v1/models").json()
    )
    assert [row["id"] for row in administrator.get("/v1/models").json()["data"]] == [
        "hidden",
        "open",
    ]
    assert reader.get("/v1/models/open").json() == shown
    for address in ("/v1/models/hidden", "/v1/models/%00", "/v1/chat/completions"):
        assert_error(reader.get(address), 404)
    assert_error(anybody.get("/v1/models", headers={"Authorization": "Bearer karen_x"}), 401)
    assert_error(anybody.get("/v1/models/open", headers={"Authorization": "Bearer karen_x"}), 401)
    assert_error(reader.post("/v1/models"), 405)
