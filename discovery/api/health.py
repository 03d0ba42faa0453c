"""``/models/{model_id}/validate`` and ``/test-load``: validate a model, and test its loading."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db.models import Manager
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from ninja import Path, Query, Router, Status

from discovery.api import health_schemas as schemas
from discovery.api import paging, waiting
from discovery.api.authentication import PUBLIC, READ, Access, caller_of, fetch, own_path
from discovery.api.errors import ApiError
from discovery.engine.core.service_words import TokenScope
from discovery.models import DeepValidation, LoadTest, RegisteredModel, Right
from discovery.services.access.redaction import Sight
from discovery.services.health import deep_validation, test_loads, validation

router = Router(tags=["Health"])

VALIDATE = Access(TokenScope.WRITE, Right.VALIDATE)


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
    response={200: schemas.Report | schemas.DeepResult, 202: schemas.DeepRun},
    operation_id="validate_model_now",
    summary="Validate a model",
)
def validate_now(
    request: HttpRequest,
    model_id: str,
    query: Query[schemas.ReportQuery],
    response: HttpResponse,
) -> Any:
    """Reads the headers of the model again and returns its checks.

    With `deep`, a worker reads every byte: `Location` then answers its progress and its result.
    """
    caller, record = caller_of(request), fetch(request, model_id)
    if query.deep:
        run, created = deep_validation.request(record, user_id=caller.user.pk)
        if run.state == DeepValidation.State.FAILED:
            raise ApiError(503, run.message)
        waiting.wait(run, query.wait)
        return _followed(request, run, record, response, created=created)
    if query.wait:
        fault = (("query", "wait"), "is for `deep=true`; a validation of headers ends at once")
        raise ApiError(422, "There is nothing to wait for.", errors=[fault])
    return Status(200, validation.validate(record).as_json())


@router.get(
    "/models/{model_id}/validations",
    auth=READ,
    response=schemas.Validations,
    operation_id="list_validations",
    summary="Deep validations of a model",
)
def validations(request: HttpRequest, model_id: str, query: Query[paging.Paged]) -> dict[str, Any]:
    """The newest first."""
    record = fetch(request, model_id)
    sight = Sight(caller_of(request).user)
    return paging.numbered(
        request,
        DeepValidation.objects.filter(model=record),
        query,
        lambda run: _deep(request, run, record, sight),
    )


@router.get(
    "/models/{model_id}/validations/{validation_id}",
    auth=READ,
    response={200: schemas.DeepResult, 202: schemas.DeepRun},
    operation_id="get_validation",
    summary="A deep validation",
)
def validated(
    request: HttpRequest, model_id: str, validation_id: Path[schemas.RunId], response: HttpResponse
) -> Any:
    """202 with its progress while it is queued or running, 200 with its result afterwards."""
    record = fetch(request, model_id)
    run = _of(DeepValidation.objects, record, validation_id, "deep validation")
    return _followed(request, run, record, response)


@router.post(
    "/models/{model_id}/validations/{validation_id}/cancel",
    auth=VALIDATE,
    response=schemas.StoppedRun,
    operation_id="cancel_validation",
    summary="Stop a deep validation",
)
def stop_validation(
    request: HttpRequest, model_id: str, validation_id: Path[schemas.RunId]
) -> dict[str, Any]:
    """What was read so far is kept: the next validation goes on from there."""
    record = fetch(request, model_id)
    run = _of(DeepValidation.objects, record, validation_id, "deep validation")
    stopped = deep_validation.cancel(run)
    run.refresh_from_db()
    return {"model_id": record.model_id, "status": str(run.state), "cancelled": stopped}


Run = TypeVar("Run", DeepValidation, LoadTest)


def _of(rows: Manager[Run], record: RegisteredModel, key: int, name: str) -> Run:
    run = rows.filter(pk=key, model=record).first()
    if run is None:
        raise Http404(f"There is no {name} {key} of {record.model_id}.")
    return run


def _followed(
    request: HttpRequest,
    run: DeepValidation,
    record: RegisteredModel,
    response: HttpResponse,
    *,
    created: bool = False,
) -> Status[dict[str, Any]]:
    sight = Sight(caller_of(request).user)
    told = _deep(request, run, record, sight)
    response["Location"] = told["location"]
    if run.is_active:
        return Status(202, {**told, "created": created})
    return Status(200, {**told, "report": validation.report(record, sight).as_json()})


def _deep(
    request: HttpRequest, run: DeepValidation, record: RegisteredModel, sight: Sight
) -> dict[str, Any]:
    place = reverse("api:get_validation", args=[record.model_id, run.pk])
    return {
        "model_id": record.model_id,
        "validation_id": run.pk,
        "status": str(run.state),
        "done_bytes": run.done_bytes,
        "total_bytes": run.total_bytes,
        "current_path": run.current_path or None,
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "message": sight.text(run.message) or None,
        "location": request.build_absolute_uri(place),
    }


@router.post(
    "/models/{model_id}/test-load",
    auth=VALIDATE,
    response={200: schemas.TestResult, 202: schemas.TestUnderWay},
    operation_id="test_load",
    summary="Try to load a model",
)
def test_load(
    request: HttpRequest, model_id: str, query: Query[schemas.LoadTestBody], response: HttpResponse
) -> Any:
    """In a child process, with limits.

    With ``wait`` the result, if it is there in time; else where it will be.
    """
    record = fetch(request, model_id)
    try:
        test, created = test_loads.request(
            record, query.variant, user_id=caller_of(request).user.pk
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
    waiting.wait(test, query.wait)
    return _told(request, test, record, created, response)


@router.get(
    "/models/{model_id}/test-load/{test_id}",
    auth=READ,
    response={200: schemas.TestResult, 202: schemas.TestUnderWay},
    operation_id="get_test_load",
    summary="Result of a test load",
)
def tested(
    request: HttpRequest, model_id: str, test_id: Path[schemas.RunId], response: HttpResponse
) -> Any:
    """200 with the result, 202 while the test is running."""
    record = fetch(request, model_id)
    test = _of(LoadTest.objects, record, test_id, "test load")
    return _told(request, test, record, False, response)


@router.post(
    "/models/{model_id}/test-load/{test_id}/cancel",
    auth=VALIDATE,
    response=schemas.StoppedRun,
    operation_id="cancel_test_load",
    summary="Stop a test load",
)
def stop_test(request: HttpRequest, model_id: str, test_id: Path[schemas.RunId]) -> dict[str, Any]:
    """Ends the process that loads the model."""
    record = fetch(request, model_id)
    test = _of(LoadTest.objects, record, test_id, "test load")
    stopped = test_loads.cancel(test)
    test.refresh_from_db()
    return {"model_id": record.model_id, "status": str(test.state), "cancelled": stopped}


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
