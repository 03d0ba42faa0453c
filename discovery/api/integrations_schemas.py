"""API tokens and webhooks."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

from ninja import Schema
from pydantic import ConfigDict, Field

from discovery.api.inputs import Storable
from discovery.api.paging import Listed, Paged
from discovery.engine.core.service_words import DeliveryState, TokenScope
from discovery.services.integrations.api_tokens import MAX_DAYS, MAX_NAME
from discovery.services.integrations.webhooks import EVENTS
from discovery.services.search.model_filters import MAX_VALUES

if TYPE_CHECKING:
    Event = str
else:
    Event = Literal[tuple(EVENTS)]


class TokenRow(Schema):
    """A token, without the token itself: that is shown once, when it is made."""

    token_id: int = Field(description="The id of the token.", examples=[3])
    name: str = Field(description="What it is for.", examples=["nightly"])
    user: str = Field(description="For whom it acts.", examples=["anna"])
    prefix: str = Field(description="How it begins.", examples=["karen_a1b2c3"])
    scope: TokenScope = Field(description="What it may do at most.")
    is_valid: bool = Field(description="It is neither revoked nor expired.")
    created_at: datetime = Field(description="When it was made.")
    expires_at: datetime | None = Field(description="From when on it is refused.")
    last_used_at: datetime | None = Field(description="When it was used last, to the minute.")
    revoked_at: datetime | None = Field(description="When it was revoked.")


class Tokens(Listed):
    results: list[TokenRow] = Field(description="Tokens, the newest first.")


class NewToken(Schema):
    """What a token is for, and what it may do."""

    model_config = ConfigDict(extra="forbid")

    name: Storable = Field(
        min_length=1, max_length=MAX_NAME, description="What it is for.", examples=["nightly"]
    )
    scope: TokenScope = Field(
        TokenScope.READ, description="At most that of the token that this call comes with."
    )
    days: int | None = Field(
        90,
        ge=1,
        le=MAX_DAYS,
        description="Days of validity; null is until it is revoked.",
        examples=[90],
    )


class MadeToken(TokenRow):
    token: str = Field(
        description="The token itself. It cannot be read again.", examples=["karen_a1b2c3…"]
    )


class Revoked(Schema):
    token_id: int = Field(description="The id of the token.", examples=[3])
    revoked: bool = Field(description="False when it was revoked before.")


class WebhookRow(Schema):
    """An address that is sent messages about events."""

    webhook_id: int = Field(description="The id of the webhook.", examples=[2])
    url: str = Field(
        description="Where messages are sent.", examples=["https://hooks.example.org/karen"]
    )
    events: list[Event] = Field(description="What it is told.", examples=[["scan.finished"]])
    enabled: bool = Field(description="Whether it is told anything now.")
    created_by: str | None = Field(description="Who made it.", examples=["anna"])
    created_at: datetime = Field(description="When it was made.")
    last_delivery: DeliveryState | None = Field(description="How the newest message stands.")


class Webhooks(Listed):
    results: list[WebhookRow] = Field(description="Webhooks by address.")


class NewWebhook(Schema):
    """Where events are sent, and which."""

    model_config = ConfigDict(extra="forbid")

    url: Storable = Field(
        min_length=1,
        max_length=1_000,
        description="Where messages are sent: an address outside your network.",
        examples=["https://hooks.example.org/karen"],
    )
    events: list[Event] = Field(
        min_length=1,
        max_length=MAX_VALUES,
        description="What it is told.",
        examples=[["scan.finished"]],
    )


class WebhookChange(Schema):
    """What is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")

    url: Storable | None = Field(
        None,
        min_length=1,
        max_length=1_000,
        description="Where messages are sent.",
        examples=["https://hooks.example.org/karen"],
    )
    events: list[Event] | None = Field(
        None,
        min_length=1,
        max_length=MAX_VALUES,
        description="What it is told.",
        examples=[["scan.finished"]],
    )
    enabled: bool | None = Field(
        None, strict=True, description="What happens while it is off is not sent later."
    )


class MadeWebhook(WebhookRow):
    secret: str = Field(
        description="What messages are signed with. It cannot be read again.",
        examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )


class DeliveriesQuery(Paged):
    state: list[DeliveryState] = Field(
        [], max_length=MAX_VALUES, description="How the messages stand."
    )


class DeliveryRow(Schema):
    """One message to a webhook."""

    delivery_id: int = Field(description="The id of the delivery.", examples=[17])
    webhook_id: int = Field(description="The id of the webhook.", examples=[2])
    message_id: str = Field(
        description="The same on each attempt, as `webhook-id` has it.",
        examples=["6f1c2a0e-4b7d-4f0e-9a55-0d3c5f6b7a81"],
    )
    event: str = Field(description="What it tells.", examples=["scan.finished"])
    state: DeliveryState = Field(description="How it stands.")
    attempts: int = Field(description="How often it was tried.", examples=[1])
    http_status: int | None = Field(description="What the address answered last.", examples=[204])
    seconds: float | None = Field(description="How long it took to answer.", examples=[0.2])
    created_at: datetime = Field(description="When it was made.")
    next_at: datetime | None = Field(description="When it is tried again.")
    message: str | None = Field(
        description="Why it did not arrive.", examples=["The address did not answer in 10 s."]
    )


class DeliveryRows(Listed):
    results: list[DeliveryRow] = Field(description="Messages, the newest first.")
