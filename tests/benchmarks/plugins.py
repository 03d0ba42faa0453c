"""What three idle plugins cost a scan: ``python tests/benchmarks/plugins.py 10000``.

Makes the tree of ``scan.py`` with a note for every tenth model, and scans it without plugins and
with three whose ``can_handle`` says no, in turns: first scans of new databases, and unchanged
rescans. Processor time is measured, of the command and the processes that it starts, from start to
end, because it tells the same on a busy machine. Holds that the scans with plugins take at most 5 %
more, the least of all turns each. Exits 1 when it is not so.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

BASE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(BASE))

from tests.benchmarks.scan import make_tree  # noqa: E402

MOST = 1.05
TURNS = 3

#: Runs ``manage.py`` and writes the processor seconds as the last line of stderr.
MEASURED = """
import resource, runpy, sys
sys.argv[0] = "manage.py"
try:
    runpy.run_path("manage.py", run_name="__main__")
finally:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    print(sum(each.ru_utime + each.ru_stime for each in used), file=sys.stderr)
"""

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


def run(*arguments: str, env: dict[str, str]) -> tuple[dict[str, int], float]:
    """(the command's JSON, processor seconds)."""
    command = [sys.executable, "-c", MEASURED, *arguments]
    done = subprocess.run(command, env=env, cwd=BASE, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        sys.exit(f"{arguments} failed:\n{done.stderr[-3000:]}")
    report = json.loads(done.stdout) if done.stdout.strip() else {}
    return report, float(done.stderr.strip().splitlines()[-1])


def _measured(folder: Path, count: int) -> int:
    taken: dict[tuple[str, str], list[float]] = {}
    for turn in range(TURNS):
        for plugins in ("none", "three"):
            env = environment(folder, plugins, turn)
            run("migrate", "-v0", env=env)
            report, seconds = run("scan_models", "--json", env=env)
            assert report["new"] == count, report
            taken.setdefault(("first scan", plugins), []).append(seconds)
            report, seconds = run("scan_models", "--json", env=env)
            assert report["unchanged"] == count, report
            taken.setdefault(("rescan", plugins), []).append(seconds)
    fine = True
    for label in ("first scan", "rescan"):
        without, having = (min(taken[label, plugins]) for plugins in ("none", "three"))
        told = f"{without:8.3f} s of processor, with three idle plugins {having:8.3f} s"
        print(f"{label:10} {told}: {having / without:.3f} times")
        fine &= having <= without * MOST
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
