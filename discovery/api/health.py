"""``/models/{model_id}/validate`` and ``/test-load``: validate a model, and test its loading."""

from __future__ import annotations

import threading
import time
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from ninja import Path, Query, Router, Status

from discovery.api import health_schemas as schemas
from discovery.api.authentication import PUBLIC, READ, Access, caller_of, fetch, own_path
from discovery.api.errors import ApiError
from discovery.engine.core.vocabulary import TokenScope
from discovery.models import DeepValidation, LoadTest, RegisteredModel, Right
from discovery.services.access.redaction import Sight
from discovery.services.health import deep_validation, test_loads, validation

router = Router(tags=["Health"])

VALIDATE = Access(TokenScope.WRITE, Right.VALIDATE)
#: Seconds between looks at a test that is waited for.
LOOK = 0.1
#: Callers that wait hold a thread of the web server each: more of them than this are sent to look
#: later, so that others are answered.
_SEATS = threading.BoundedSemaphore(2)


@router.api_operation(
    ["GET"],
    "/models/{model_id}/validate",
    auth=PUBLIC,
    response={200: schemas.Report},
    operation_id="validate_model",
    summary="Checks of a model",
)
def validate(request: HttpRequest, model_id: str) -> Any:
    """The checks of the model as they were found last.

    Nothing is read and nothing changes: `POST` has its files read again.
    """
    record = fetch(request, model_id)
    return Status(200, validation.report(record, Sight(caller_of(request).user)).as_json())


@router.api_operation(
    ["POST"],
    "/models/{model_id}/validate",
    auth=VALIDATE,
    response={200: schemas.Report, 202: schemas.DeepRun},
    operation_id="validate_model_now",
    summary="Validate a model",
)
def validate_now(request: HttpRequest, model_id: str, asked: Query[schemas.ReportQuery]) -> Any:
    """Reads the headers of the model again and returns its checks.

    With `deep`, a worker also reads every byte; the response then describes the queued validation.
    """
    caller, record = caller_of(request), fetch(request, model_id)
    if asked.deep:
        run, created = deep_validation.request(record, user_id=caller.user.pk)
        if run.state == DeepValidation.State.FAILED:
            raise ApiError(503, run.message)
        return Status(202, _deep(request, run, record, created))
    return Status(200, validation.validate(record).as_json())


def _deep(
    request: HttpRequest, run: DeepValidation, record: RegisteredModel, created: bool
) -> dict[str, Any]:
    return {
        "model_id": record.model_id,
        "validation_id": run.pk,
        "status": str(run.state),
        "created": created,
        "done_bytes": run.done_bytes,
        "total_bytes": run.total_bytes,
        "location": request.build_absolute_uri(own_path(request, record)),
    }


@router.post(
    "/models/{model_id}/test-load",
    auth=VALIDATE,
    response={200: schemas.TestResult, 202: schemas.TestUnderWay},
    operation_id="test_load",
    summary="Try to load a model",
)
def test_load(
    request: HttpRequest, model_id: str, asked: Query[schemas.LoadTestBody], response: HttpResponse
) -> Any:
    """In a child process, with limits.

    With ``wait`` the result, if it is there in time; else where it will be.
    """
    record = fetch(request, model_id)
    try:
        test, created = test_loads.request(
            record, asked.variant, user_id=caller_of(request).user.pk
        )
    except test_loads.UnknownVariant:
        names = ", ".join(str(item["name"]) for item in record.variants) or "none"
        raise ApiError(
            422,
            "The model has no such variant.",
            errors=[(("query", "variant"), f"its variants: {names}")],
        ) from None
    if created and test.state == LoadTest.State.FAILED:
        raise ApiError(503, test.message)
    if asked.wait and _SEATS.acquire(blocking=False):
        try:
            _wait(test, asked.wait)
        finally:
            _SEATS.release()
    return _told(request, test, record, created, response)


def _wait(test: LoadTest, seconds: int) -> None:
    until = time.monotonic() + seconds
    while test.is_active and time.monotonic() < until:
        time.sleep(LOOK)
        test.refresh_from_db()


@router.get(
    "/models/{model_id}/test-load/{test_id}",
    auth=READ,
    response={200: schemas.TestResult, 202: schemas.TestUnderWay},
    operation_id="get_test_load",
    summary="Result of a test load",
)
def tested(
    request: HttpRequest, model_id: str, test_id: Path[schemas.TestId], response: HttpResponse
) -> Any:
    """200 with the result, 202 while the test is running."""
    record = fetch(request, model_id)
    test = LoadTest.objects.filter(pk=test_id, model=record).first()
    if test is None:
        raise Http404(f"There is no test load {test_id} of {record.model_id}.")
    return _told(request, test, record, False, response)


def _told(
    request: HttpRequest,
    test: LoadTest,
    record: RegisteredModel,
    created: bool,
    response: HttpResponse,
) -> Status[dict[str, Any]]:
    told: dict[str, Any] = {
        "model_id": record.model_id,
        "test_id": test.pk,
        "variant": test.variant or None,
        "status": str(test.result or test.state),
    }
    if test.is_active:
        place = own_path(request, record)
        place = place if request.method == "GET" else f"{place}/{test.pk}"
        told |= {"created": created, "location": request.build_absolute_uri(place)}
        response["Location"] = told["location"]
        return Status(202, told)
    told |= {
        "loader": test.loader or None,
        "seconds": test.load_seconds,
        "peak_memory_bytes": test.peak_memory_bytes,
    }
    return Status(
        200,
        {
            **told,
            "message": Sight(caller_of(request).user).text(test.message),
            "finished_at": test.finished_at,
        },
    )
