"""What three idle plugins cost a scan: ``python tests/benchmarks/plugins.py 10000``.

Makes the tree of ``scan.py`` with a note beside every tenth model, and scans it without plugins and
with three whose ``can_handle`` says no, in turns: a first scan of a new database, and unchanged
rescans. Holds that the scans with plugins take at most 5 % longer, the best of all turns each, or
that the difference is below 20 ms. Exits 1 when it is not so.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

BASE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(BASE))

from tests.benchmarks.scan import child, make_tree  # noqa: E402

MOST = 1.05
NOTHING = 0.02
FIRST_TURNS, TURNS = 3, 7

IDLE = """\
from discovery.plugins import List, Modality, ModelDiscoveryPlugin, ModelMetadata


class Idle{number}(ModelDiscoveryPlugin):
    def can_handle(self, path):
        return path.endswith(".idle{number}")
"""


def environment(folder: Path, plugins: str, turn: int) -> dict[str, str]:
    places = {
        "KAREN_DATA_DIR": f"data-{plugins}-{turn}",
        "KAREN_LOGS_DIR": f"logs-{plugins}-{turn}",
        "KAREN_CONFIG_DIR": "config",
        "KAREN_MODELS_DIR": "models",
        "KAREN_PLUGINS_DIR": plugins,
    }
    env = {**os.environ, **{name: str(folder / place) for name, place in places.items()}}
    env.pop("DATABASE_URL", None)
    return env


def main(count: int) -> int:
    folder = Path(tempfile.mkdtemp(prefix="karen-plugins-"))
    try:
        make_tree(folder / "models", count)
        shelves = sorted(
            {path.parent for path in (folder / "models").glob("*/*/*") if path.is_dir()}
        )
        notes = max(count // 10, 1)
        for number in range(notes):
            (shelves[number % len(shelves)] / f"note-{number}.txt").write_text("A note.")
        (folder / "three").mkdir(mode=0o755)
        for number in range(3):
            path = folder / "three" / f"idle{number}.py"
            path.write_text(IDLE.format(number=number))
            path.chmod(0o644)
        return _measured(folder, count)
    finally:
        shutil.rmtree(folder)


def _measured(folder: Path, count: int) -> int:
    first: dict[str, list[float]] = {"none": [], "three": []}
    again: dict[str, list[float]] = {"none": [], "three": []}
    for turn in range(FIRST_TURNS):
        for plugins, taken in first.items():
            env = environment(folder, plugins, turn)
            child("migrate", "-v0", env=env)
            report, _ = child("scan_models", "--json", env=env)
            assert report["new"] == count, report
            taken.append(report["seconds"])
    for _ in range(TURNS):
        for plugins, taken in again.items():
            report, _ = child("scan_models", "--json", env=environment(folder, plugins, 0))
            assert report["unchanged"] == count, report
            taken.append(report["seconds"])
    fine = True
    for label, taken in (("first scan", first), ("rescan", again)):
        without, having = min(taken["none"]), min(taken["three"])
        ratio = having / without
        print(f"{label:10} {without:8.3f} s, with three idle plugins {having:8.3f} s: {ratio:.3f}")
        fine &= ratio <= MOST or having - without <= NOTHING
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
