"""Addresses of the pages."""

from django.urls import path

from discovery.web import (
    health,
    logs,
    memory,
    model,
    models,
    overview,
    problems,
    rules,
    scans,
    system,
    tokens,
)

urlpatterns = [
    path("", overview.index, name="home"),
    path("", overview.index, name="overview"),
    path("overview/live/", overview.live, name="overview-live"),
    path("logs/", logs.index, name="logs"),
    path("models/", models.index, name="models"),
    path("models/<str:model_id>/", model.overview, name="model"),
    path("models/<str:model_id>/files/", model.files, name="model-files"),
    path("models/<str:model_id>/tensors/", model.tensors, name="model-tensors"),
    path("models/<str:model_id>/memory/", memory.panel, name="model-memory"),
    path("models/<str:model_id>/health/", health.health, name="model-health"),
    path("models/<str:model_id>/health/live/", health.live, name="model-health-live"),
    path("models/<str:model_id>/health/act/", health.act, name="model-health-act"),
    path("problems/", problems.index, name="problems"),
    path("problems/decide/", problems.decide, name="problems-decide"),
    path("rules/", rules.index, name="rules"),
    path("rules/json/", rules.as_json, name="rules-json"),
    path("rules/undo/", rules.undo, name="rules-undo"),
    path("rules/<str:axis>/<str:category>/", rules.category, name="rules-category"),
    path("scans/", scans.index, name="scans"),
    path("scans/progress/", scans.progress, name="scan-progress"),
    path("scans/start/", scans.start, name="scan-start"),
    path("scans/compare/", scans.compare, name="scan-compare"),
    path("scans/skipped/", scans.skipped, name="scan-skipped"),
    path("scans/<int:pk>/", scans.run, name="scan"),
    path("scans/<int:pk>/stop/", scans.stop, name="scan-stop"),
    path("system/", system.index, name="system"),
    path("system/live/", system.live, name="system-live"),
    path("tokens/", tokens.index, name="tokens"),
    path("tokens/<int:pk>/revoke/", tokens.revoke, name="token-revoke"),
]
