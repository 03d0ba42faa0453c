"""Send signed messages about events to the addresses that subscribe to them.

Failed deliveries are retried with increasing delays.
"""

from __future__ import annotations

import json
import logging
import secrets
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from discovery.engine.core.vocabulary import Status
from discovery.models import (
    Alias,
    Download,
    LogEntry,
    MetadataChange,
    RegisteredModel,
    ScanRun,
    Webhook,
    WebhookDelivery,
)
from discovery.services import jobs
from discovery.services.core import config_files
from discovery.services.integrations import http_client
from discovery.services.integrations.webhook_signatures import (
    SECRET_PREFIX,
    sign,
    standard_headers,
)
from discovery.services.jobs import Ending

if TYPE_CHECKING:
    from django.contrib.auth.models import User

EVENTS = {
    "model.added": "Model added",
    "model.changed": "Model files changed",
    "model.missing": "Model missing",
    "model.unsafe": "Unsafe model found",
    "scan.finished": "Scan finished",
    "download.finished": "Download finished",
    "metadata.edited": "Metadata edited",
}
PING = "ping"

#: Models told of in one message.
MAX_MODELS = 100
#: Seconds before the second attempt, the third, and so on.
PAUSES = (30, 120, 600, 3_600, 21_600)

logger = logging.getLogger(__name__)

State = WebhookDelivery.State
_HAPPENED = {
    "model.added": ("new", "back"),
    "model.changed": ("changed", "moved"),
    "model.missing": ("missing",),
    "model.unsafe": ("new", "back", "changed"),
}


class WebhookError(Exception):
    """The webhook cannot be like that; the message says why."""


def create(url: str, events: Sequence[str], *, by: User) -> Webhook:
    """Create a webhook; raises ``WebhookError``.

    Its ``secret`` is shown to the person who makes it, for the other end to know.
    """
    url = _checked(url, events)
    return Webhook.objects.create(
        url=url, events=sorted(set(events)), secret=_new_secret(), created_by=by
    )


def change(hook: Webhook, *, url: str | None = None, events: Sequence[str] | None = None) -> None:
    """Change address and events of a webhook, where they are given; its secret stays.

    Raises ``WebhookError``.
    """
    wanted = hook.events if events is None else sorted(set(events))
    hook.url, hook.events = _checked(hook.url if url is None else url, wanted), wanted
    hook.save(update_fields=["url", "events"])


def _checked(url: str, events: Sequence[str]) -> str:
    """Return the address as it is kept; raises ``WebhookError``."""
    url = url.strip()
    if reason := http_client.fault(url):
        raise WebhookError(f"The address {reason}.")
    if len(url) > 1_000:
        raise WebhookError("The address is longer than 1,000 characters.")
    if not events or any(event not in EVENTS for event in events):
        raise WebhookError("Choose what it wants to be told.")
    return url


def _new_secret() -> str:
    return SECRET_PREFIX + b64encode(secrets.token_bytes(32)).decode()


def switch(hook: Webhook, *, on: bool) -> None:
    """Enable or disable a webhook; events while it is disabled are not sent later."""
    hook.enabled = on
    hook.save(update_fields=["enabled"])


def delete(hook: Webhook) -> None:
    """Delete a webhook with its deliveries, including those that wait."""
    hook.delete()


def ping(hook: Webhook) -> WebhookDelivery:
    """A message that says nothing, to see whether it arrives."""
    return _queue(hook, PING, {"message": "This is a test."})


# -- what happens


def after_scan(run: ScanRun) -> None:
    """Send the results of a finished run.

    The messages come from its log, so an interrupted run sends them as well.

    A queue that does not accept the messages must not make a finished scan look failed: the log has
    the reason.
    """
    try:
        with transaction.atomic():
            _after_scan(run, _wanted())
    except Exception:
        logger.exception("webhooks could not be told of scan %s", run.pk)


def _after_scan(run: ScanRun, wanted: Mapping[str, list[Webhook]]) -> None:
    for event in _HAPPENED:
        if event in wanted:
            for models in _models_of(run, event):
                _tell(wanted[event], event, {"scan_id": run.pk, "models": models})
    if "scan.finished" in wanted:
        counts = {
            name: getattr(run, name)
            for name in ("found", "new", "changed", "unchanged", "moved", "missing", "errors")
        }
        told = {
            "scan_id": run.pk,
            "status": str(run.state),
            "path": run.path or None,
            "seconds": run.seconds,
            **counts,
        }
        _tell(wanted["scan.finished"], "scan.finished", told)


def after_download(job: Download) -> None:
    """Send how a download ended, once that is committed; what is begun again has not ended."""
    if job.state in (*Download.OPEN, Download.State.INTERRUPTED):
        return
    told = {
        "download_id": job.pk,
        "status": str(job.state),
        "registry": job.registry,
        "remote_id": job.remote_id,
        "revision": job.revision or None,
        "root": job.root.path,
        "folder": job.folder,
        "model_id": job.model.model_id if job.model else None,
        "message": job.message or None,
    }
    transaction.on_commit(
        lambda: _tell(_wanted().get("download.finished", []), "download.finished", told),
        robust=True,
    )


def after_registration(record: RegisteredModel, by: str) -> None:
    """Once it is committed, and only then."""
    told = {"models": [_model(record)], "by": by}
    transaction.on_commit(
        lambda: _tell(_wanted().get("model.added", []), "model.added", told), robust=True
    )


def after_edit(made: Sequence[MetadataChange], by: str, channel: str) -> None:
    """One message for each hundred models of a batch, once it is committed."""
    transaction.on_commit(lambda: _edited(made, by, channel), robust=True)


def _edited(made: Sequence[MetadataChange], by: str, channel: str) -> None:
    hooks = _wanted().get("metadata.edited", [])
    if not hooks:
        return
    fields: dict[str, list[str]] = {}
    for change in made:
        fields.setdefault(change.model.model_id, []).append(change.field)
    for some in _chunks(sorted(fields)):
        aliases = _aliases(some)
        models = [
            {
                "model_id": model_id,
                "fields": sorted(fields[model_id]),
                "aliases": aliases.get(model_id, []),
            }
            for model_id in some
        ]
        _tell(
            hooks,
            "metadata.edited",
            {"by": by or None, "through": channel, "batch": str(made[0].batch), "models": models},
        )


def _aliases(model_ids: Sequence[str]) -> dict[str, list[str]]:
    """Return {id of a model: its former ids} for models that have any."""
    found: dict[str, list[str]] = {}
    rows = Alias.objects.filter(model__model_id__in=model_ids).values_list(
        "model__model_id", "alias"
    )
    for model_id, alias in rows:
        found.setdefault(model_id, []).append(alias)
    return found


def _models_of(run: ScanRun, event: str) -> Iterator[list[dict[str, Any]]]:
    entries = (
        LogEntry.objects.filter(scan=run, event__in=_HAPPENED[event])
        .order_by("model_id")
        .values_list("model_id", flat=True)
    )
    for ids in _chunks(list(dict.fromkeys(entries))):
        rows = (
            RegisteredModel.objects.filter(model_id__in=ids)
            .select_related("root")
            .prefetch_related("aliases")
            .order_by("model_id")
        )
        if event == "model.unsafe":
            rows = rows.filter(status=Status.UNSAFE)
        models = [
            _model(row)
            for row in rows.only("model_id", "name", "path", "root__path", "type", "status")
        ]
        if models:
            yield models


def _model(record: RegisteredModel) -> dict[str, Any]:
    return {
        "model_id": record.model_id,
        "name": record.name,
        "root": record.root.path,
        "path": record.path,
        "type": record.type,
        "status": record.status,
        "aliases": [each.alias for each in record.aliases.all()],
    }


def _chunks(items: Sequence[str]) -> Iterator[Sequence[str]]:
    return (items[first : first + MAX_MODELS] for first in range(0, len(items), MAX_MODELS))


# -- sending


def _wanted() -> Mapping[str, list[Webhook]]:
    """{event: webhooks that want it}."""
    wanted: dict[str, list[Webhook]] = {}
    for hook in Webhook.objects.filter(enabled=True):
        for event in hook.events:
            wanted.setdefault(event, []).append(hook)
    return wanted


def _tell(hooks: Iterable[Webhook], event: str, data: Mapping[str, Any]) -> None:
    for hook in hooks:
        _queue(hook, event, data)


def _queue(hook: Webhook, event: str, data: Mapping[str, Any]) -> WebhookDelivery:
    now = timezone.now()
    kept = timedelta(days=config_files.retention().webhook_days)
    WebhookDelivery.objects.filter(webhook=hook, created_at__lt=now - kept).delete()
    uuid = uuid4()
    body = json.loads(
        json.dumps(
            {"id": str(uuid), "event": event, "at": now, "data": data}, cls=DjangoJSONEncoder
        )
    )
    return KIND.request(webhook=hook, uuid=uuid, event=event, body=body, created_at=now)[0]


class Deliveries(jobs.Kind[WebhookDelivery]):
    """One attempt after the other; between two of them a delivery waits until ``next_at``."""

    model = WebhookDelivery
    task = "discovery.tasks.deliver_webhook"
    name = "webhook delivery"
    related = ("webhook",)
    heavy = ("body",)
    goes_on = "it is sent again."
    given_up = "it is given up."
    broke = "It could not be sent ({error}); please report this."
    is_patient = True

    def ready(self, queued: QuerySet[WebhookDelivery]) -> QuerySet[WebhookDelivery]:
        return queued.filter(Q(next_at=None) | Q(next_at__lte=timezone.now()))

    def waits_since(self, queued: QuerySet[WebhookDelivery]) -> datetime | None:
        """Those whose pause is just over have not waited."""
        return super().waits_since(queued.exclude(dispatched_at=None))

    def run(self, job: WebhookDelivery, **_options: Any) -> Ending:
        attempts = job.attempts + 1
        jobs.beat(job, attempts=attempts, next_at=None)
        job.attempts, hook = attempts, job.webhook
        if not hook.enabled and job.event != PING:
            return Ending(State.FAILED, "The webhook was switched off before.")
        try:
            answer = http_client.post(hook.url, *_signed(job))
        except http_client.AddressRefused as error:
            return Ending(State.FAILED, _short(str(error)))
        except http_client.Unreachable as error:
            return _again(job, str(error))
        columns = {"status": answer.status, "seconds": answer.seconds}
        if 200 <= answer.status < 300:
            return Ending(State.DONE, "", columns)
        told = f"It answered {answer.status}{': ' + answer.text if answer.text else ''}"
        return _again(job, told, **columns)


KIND = Deliveries()


def deliver(pk: int) -> str:
    """One attempt; what fails is tried again later, as often as ``PAUSES`` allows.

    Returns the state it leaves the delivery in.
    """
    delivery = KIND.light().filter(pk=pk, state=State.QUEUED).first()
    return str(jobs.execute(delivery).state) if delivery else "over already"


def _signed(delivery: WebhookDelivery) -> tuple[bytes, dict[str, str]]:
    body, now = json.dumps(delivery.body).encode(), datetime.now(UTC)
    secret, timestamp = delivery.webhook.secret, str(int(now.timestamp()))
    return body, {
        "Content-Type": "application/json",
        "User-Agent": "karen-admin",
        "X-Karen-Event": delivery.event,
        "X-Karen-Delivery": str(delivery.uuid),
        "X-Karen-Timestamp": timestamp,
        "X-Karen-Signature": sign(secret, timestamp, body),
        **standard_headers(secret, str(delivery.uuid), now, body),
    }


def _again(delivery: WebhookDelivery, message: str, **columns: Any) -> Ending:
    """Schedule another attempt after a pause; the housekeeper sends it."""
    if delivery.attempts > len(PAUSES) or delivery.event == PING:
        return Ending(State.FAILED, _short(message), columns)
    at = timezone.now() + timedelta(seconds=PAUSES[delivery.attempts - 1])
    return Ending(State.QUEUED, _short(message), {**columns, "next_at": at, "dispatched_at": None})


def _short(message: str) -> str:
    return message[:500]
