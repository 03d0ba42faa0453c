"""Downloads of models from external registries: asked for, fetched, checked and placed."""
