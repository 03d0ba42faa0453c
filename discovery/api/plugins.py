"""``/plugins``: the discovery plugins, their failures, and switching them on and off."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from django.http import Http404, HttpRequest
from ninja import Router, Schema
from pydantic import ConfigDict, Field

from discovery.api.authentication import Access, caller_of
from discovery.engine.core.service_words import PluginSource, TokenScope
from discovery.models import Plugin, Right
from discovery.services.plugins import switching
from discovery.services.plugins.overview import overview

if TYPE_CHECKING:
    from django.contrib.auth.models import User

router = Router(tags=["Plugins"])


class PluginFailure(Schema):
    at: datetime | None = Field(description="When it failed.", examples=["2026-11-29T18:00:00Z"])
    path: str = Field(
        description="Absolute path that it was asked about.", examples=["/models/a.custom"]
    )
    reason: str = Field(
        description="What went wrong, in a sentence.", examples=["ValueError: bad header"]
    )


class PluginState(Schema):
    key: str = Field(
        description="`module.Class`, or the module where no class could be loaded.",
        examples=["tensor_pack.TensorPackPlugin"],
    )
    label: str = Field(description="What people call it.", examples=["TensorPack"])
    version: str | None = Field(description="As the plugin states it.", examples=["1.1"])
    source: PluginSource = Field(description="Where it was found.", examples=["folder"])
    path: str = Field(
        description="The plugin's own file.", examples=["/srv/karen/plugins/tensor_pack.py"]
    )
    state: str = Field(description="In a word, as the Plugins page says it.", examples=["On"])
    note: str | None = Field(
        description="Why it is not loaded, or was switched off.",
        examples=["It failed 5 times in a row."],
    )
    enabled: bool = Field(description="Whether it is switched on.", examples=[True])
    format: str | None = Field(
        description="The format of the models that it reads.", examples=["tensorpack"]
    )
    summary: str | None = Field(
        description="First line of its documentation.", examples=["Reads TensorPack files."]
    )
    suffixes: list[str] = Field(
        description="Endings of names that it is asked about; empty: it is asked about all.",
        examples=[[".tpack"]],
    )
    models: int = Field(description="Registered models of its format.", examples=[3])
    failures_in_a_row: int = Field(description="After 5 of them it is switched off.", examples=[0])
    failures: list[PluginFailure] = Field(
        description="The newest first; empty for callers who may not see every model."
    )


class Plugins(Schema):
    """In the order in which they are asked."""

    count: int = Field(description="How many there are.", examples=[1])
    results: list[PluginState] = Field(description="The plugins.")
    refused: list[str] = Field(
        description="A sentence for each file that is not loaded and not in the list.",
        examples=[["/srv/karen/plugins/x.py is not loaded: other users may change it."]],
    )


class PluginSwitch(Schema):
    model_config = ConfigDict(extra="forbid")

    enabled: bool = Field(
        strict=True, description="Whether scans ask the plugin.", examples=[False]
    )


@router.get(
    "/plugins",
    auth=Access(TokenScope.ADMIN, Right.SETTINGS),
    response=Plugins,
    operation_id="list_plugins",
    summary="Discovery plugins",
)
def listed(request: HttpRequest) -> dict[str, Any]:
    """What is loaded, what each handles, and what failed."""
    shown = overview(with_paths=caller_of(request).may(Right.VIEW_ALL))
    rows = [row.as_json() for row in shown.rows]
    return {"count": len(rows), "results": rows, "refused": shown.refused}


@router.put(
    "/plugins/{plugin_key}",
    auth=Access(TokenScope.ADMIN, Right.SETTINGS),
    response=PluginState,
    operation_id="switch_plugin",
    summary="Switch a plugin on or off",
)
def switch(request: HttpRequest, plugin_key: str, payload: PluginSwitch) -> dict[str, Any]:
    """The models of a plugin that is off stay registered as they are."""
    row = Plugin.objects.exclude(class_name="").filter(key=plugin_key).first()
    if row is None:
        raise Http404(f"There is no plugin {plugin_key[:200]}.")
    caller = caller_of(request)
    switching.switch(row, on=payload.enabled, by=cast("User", caller.user))
    shown = overview(with_paths=caller.may(Right.VIEW_ALL))
    return next(each for each in shown.rows if each.plugin.pk == row.pk).as_json()
