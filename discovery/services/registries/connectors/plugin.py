"""A registry whose answers a plugin reads: it is asked as a Model Zoo is, page by page.

The plugin sees an answer as a file, in a child process without network and without the key.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from discovery.engine.core.service_words import RegistryFault
from discovery.engine.core.text import clean
from discovery.loading.plugin_host import PluginFailed, PluginProcess
from discovery.services.plugins import sources
from discovery.services.registries.answers import unreadable
from discovery.services.registries.configured import Configured
from discovery.services.registries.connectors.json_models import Described
from discovery.services.registries.connectors.model_zoo import ModelZoo
from discovery.services.registries.protocol import RegistryError


class PluginRegistry(ModelZoo):
    def __init__(self, registry: Configured) -> None:
        super().__init__(registry)
        self._plugin = registry.settings.plugin

    @property
    def first(self) -> str:
        """What the endpoint answers is for the plugin to know: its address is asked as it is."""
        return self._endpoint

    def read(self) -> Iterator[Described]:
        file = sources.named(self._plugin)
        if file.fault:
            raise RegistryError(RegistryFault.SETTINGS, file.fault)
        with tempfile.TemporaryDirectory(prefix="karen-registry-") as folder:
            self._answer = Path(folder, "answer")
            try:
                with PluginProcess(file.source, (folder,)) as self._process:
                    yield from super().read()
            except (PluginFailed, OSError) as error:
                told = f"The plugin {self._plugin} failed: {clean(str(error), 300)}"
                raise RegistryError(RegistryFault.SETTINGS, told) from error

    def understood(self, content: bytes) -> Any:
        self._answer.write_bytes(content)
        told = next(iter(self._process.ask("models", [str(self._answer)])))
        if "error" in told:
            raise unreadable(f"The plugin {self._plugin} failed: {clean(str(told['error']), 300)}")
        return told["value"]
