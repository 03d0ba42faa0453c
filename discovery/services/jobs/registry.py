"""The kinds of jobs there are: each model that is a job names the module that declares its kind."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from django.apps import apps

from discovery.models import Job
from discovery.services.jobs.kind import Kind


@cache
def kinds() -> tuple[Kind[Any], ...]:
    """Their modules are imported when somebody asks: they import this package."""
    models = [model for model in apps.get_models() if issubclass(model, Job)]
    return tuple(import_module(model.kind_module).KIND for model in models)


def kind_of(job: Job) -> Kind[Any]:
    return next(kind for kind in kinds() if isinstance(job, kind.model))
