"""A new plugin: a file that works as it stands, and a test of it that passes."""

from __future__ import annotations

import keyword
import re
import sys
from pathlib import Path
from string import Template

from discovery.services.plugins import sources

MODE = 0o644

_PLUGIN = Template('''\
"""Discovery of .$suffix models. See docs/plugins.md of Karen Admin."""

import json
from pathlib import Path

from discovery.plugins import List, Modality, ModelDiscoveryPlugin, ModelMetadata


class $class_name(ModelDiscoveryPlugin):
    """Reads .$suffix files: JSON on the first line, weights after it."""

    version = "1.0"
    suffixes = (".$suffix",)

    def can_handle(self, path: str) -> bool:
        return Path(path).is_file() and path.endswith(self.suffixes)

    def extract_metadata(self, path: str) -> ModelMetadata | None:
        with open(path, "rb") as file:
            head = file.readline(65_536)
        try:
            told = json.loads(head)
        except ValueError:
            return None  # nothing is known; the file is registered all the same
        return ModelMetadata(
            description=told.get("description"),
            license=told.get("license"),
            parameter_count=told.get("parameters"),
        )

    def detect_modalities(self, path: str) -> List[Modality]:
        return [Modality.TEXT]
''')

_TEST = Template('''\
"""Run with: python $test_file"""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), $home]

from discovery.plugins import Modality  # noqa: E402
from $name import $class_name  # noqa: E402


class Test$class_name(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.file = Path(folder.name, "small.$suffix")
        self.file.write_bytes(b'{"license": "mit", "parameters": 7}\\n' + bytes(14))
        self.plugin = $class_name()

    def test_it_handles_its_own_files_alone(self):
        self.assertTrue(self.plugin.can_handle(str(self.file)))
        self.assertFalse(self.plugin.can_handle(str(self.file.with_suffix(".txt"))))

    def test_it_reads_what_the_first_line_says(self):
        told = self.plugin.extract_metadata(str(self.file))
        self.assertEqual((told.license, told.parameter_count), ("mit", 7))
        self.assertEqual(self.plugin.detect_modalities(str(self.file)), [Modality.TEXT])

    def test_a_file_that_says_nothing_is_no_failure(self):
        self.file.write_bytes(b"\\0\\1\\2")
        self.assertIsNone(self.plugin.extract_metadata(str(self.file)))


if __name__ == "__main__":
    unittest.main()
''')


class StarterError(Exception):
    """The plugin cannot be written; the text says why."""


def write(name: str) -> tuple[Path, Path]:
    """The plugin's file and that of its test. Raises ``StarterError``; nothing is replaced."""
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,59}", name) or keyword.iskeyword(name):
        raise StarterError(
            f"{name!r} is not a name for a plugin: use lowercase letters, digits and underscores,"
            " like tensor_pack."
        )
    if name.startswith("test_") or name in sys.stdlib_module_names or name == "discovery":
        raise StarterError(f"{name} is the name of another module: choose another one.")
    folder = sources.folder()
    plugin, test = folder / f"{name}.py", folder / f"test_{name}.py"
    if taken := next((path for path in (plugin, test) if path.exists()), None):
        raise StarterError(f"{taken} exists already: choose another name, or remove it.")
    parts = {
        "name": name,
        "suffix": name.replace("_", "-"),
        "class_name": "".join(part.capitalize() for part in name.split("_")) + "Plugin",
        "test_file": test.name,
        "home": repr(str(Path(sources.__file__).resolve().parents[3])),
    }
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        for path, template in ((plugin, _PLUGIN), (test, _TEST)):
            path.write_text(template.substitute(parts), encoding="utf-8")
            path.chmod(MODE)
    except OSError as error:
        raise StarterError(f"{folder} cannot be written: {error.strerror}.") from error
    return plugin, test
