"""Addresses of the pages."""

from django.urls import path

from discovery.web import memory, model, models, rules, scans

urlpatterns = [
    path("models/", models.index, name="models"),
    path("models/<str:model_id>/", model.overview, name="model"),
    path("models/<str:model_id>/files/", model.files, name="model-files"),
    path("models/<str:model_id>/tensors/", model.tensors, name="model-tensors"),
    path("models/<str:model_id>/memory/", memory.panel, name="model-memory"),
    path("rules/", rules.index, name="rules"),
    path("rules/json/", rules.as_json, name="rules-json"),
    path("rules/undo/", rules.undo, name="rules-undo"),
    path("rules/<str:axis>/<str:category>/", rules.category, name="rules-category"),
    path("scans/", scans.index, name="scans"),
    path("scans/progress/", scans.progress, name="scan-progress"),
    path("scans/start/", scans.start, name="scan-start"),
    path("scans/<int:pk>/", scans.run, name="scan"),
    path("scans/<int:pk>/stop/", scans.stop, name="scan-stop"),
]
