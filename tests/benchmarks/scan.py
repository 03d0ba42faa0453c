"""Scanning N models: ``python tests/benchmarks/scan.py 10000``.

Makes a guide-shaped tree (sparse weights, real headers), scans it into a fresh SQLite database in
processes of their own, and holds:

* first scan: at least 600 models a second (of the machine that ``tests/support/timing.py``
  describes);
* unchanged rescan: within 1.5 times ``os.walk`` plus ``stat`` over the same tree in the same run,
  the best of seven turns each;
* peak memory: within 60 MB between N / 10 and N models.

Below 10,000 models the fixed cost of a scan weighs most: the rate is not held, and a rescan may
take 5 times the walk, for which some machines need half the time of others. Exits 1 when a limit is
missed.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BASE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(BASE))

from tests.support import builders  # noqa: E402
from tests.support.timing import slowness  # noqa: E402

#: Runs ``manage.py`` and writes its peak memory, in KiB, as the last line of stderr.
MEASURED = """
import resource, runpy, sys
sys.argv[0] = "manage.py"
try:
    runpy.run_path("manage.py", run_name="__main__")
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""

FIRST_SCAN = 600
RESCAN_RATIO = 1.5
SMALL_RESCAN_RATIO = 5
MEMORY_MB = 60
TURNS = 7
#: From here on starting up is a small part of a scan.
MANY = 10_000

SHELVES = (
    "language/chat",
    "language/code",
    "language/reasoning",
    "vision",
    "audio",
    "multimodal",
    "specialized/medical",
    "specialized/legal",
)
FAMILIES = ("llama", "bert", "llama", "whisper", "llama", "vit", "llama", "clip")


def make_tree(root: Path, count: int) -> None:
    """``count`` models, eight kinds of folders in turn, about one in eight a GGUF with three
    quantizations.
    """
    for number in range(count):
        shelf = root / SHELVES[number % len(SHELVES)] / f"group-{number // 800:03d}"
        folder = shelf / f"{FAMILIES[number % 8]}-{number:06d}-{'chat' if number % 3 else 'base'}"
        if number % 8 == 6:
            builders.gguf_folder(
                folder,
                quantizations=("Q4_K_M", "Q8_0", "F16"),
                sizes=builders.Sizes(layers=4, vocab=200),
            )
        else:
            builders.transformers(folder, family=FAMILIES[number % 8], layers=6, vocab=200)


def child(*arguments: str, env: dict[str, str]) -> tuple[dict[str, float], float]:
    """(the command's JSON, peak memory in MB)."""
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *arguments],
        env=env,
        cwd=BASE,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode not in (0, 1):
        sys.exit(f"{arguments} failed:\n{done.stderr[-3000:]}")
    report = json.loads(done.stdout) if done.stdout.strip() else {}
    return report, int(done.stderr.strip().splitlines()[-1]) / 1024


def walk_and_stat(root: Path) -> float:
    started = time.perf_counter()
    for folder, _, files in os.walk(root):
        for name in files:
            os.stat(os.path.join(folder, name))
    return time.perf_counter() - started


def measure(count: int, folder: Path) -> dict[str, float]:
    models = folder / "models"
    started = time.perf_counter()
    make_tree(models, count)
    files = sum(len(names) for _, _, names in os.walk(models))
    print(f"{count:,} models, {files:,} files made in {time.perf_counter() - started:.1f} s")
    places = {
        "KAREN_DATA_DIR": "data",
        "KAREN_LOGS_DIR": "logs",
        "KAREN_CONFIG_DIR": "config",
        "KAREN_MODELS_DIR": "models",
    }
    env = {**os.environ, **{name: str(folder / place) for name, place in places.items()}}
    env.pop("DATABASE_URL", None)
    child("migrate", "-v0", env=env)
    before = slowness()
    first, peak = child("scan_models", "--json", env=env)
    slow = (before + slowness()) / 2
    assert first["new"] == count, f"{first['new']} of {count} models were found"
    walks, rescans = [], []
    for _ in range(TURNS):
        walks.append(walk_and_stat(models))
        again, _ = child("scan_models", "--json", env=env)
        assert again["unchanged"] == count, again
        rescans.append(again["seconds"])
    return {
        "rate": count / first["seconds"],
        "slowness": slow,
        "peak": peak,
        "rescan": min(rescans),
        "walk": min(walks),
    }


def main(count: int) -> int:
    results = []
    for size in (max(count // 10, 10), count):
        folder = Path(tempfile.mkdtemp(prefix="karen-scan-"))
        try:
            results.append(measure(size, folder))
        finally:
            shutil.rmtree(folder)
    small, large = results
    growth = large["peak"] - small["peak"]
    ratio, most = (
        large["rescan"] / large["walk"],
        (RESCAN_RATIO if count >= MANY else SMALL_RESCAN_RATIO),
    )
    rate = large["rate"] * large["slowness"]
    print(
        f"first scan      {large['rate']:8.0f} models a second, {rate:.0f} on the reference machine"
        f"   (at least {FIRST_SCAN})"
    )
    print(
        f"rescan          {large['rescan']:8.3f} s, walk and stat {large['walk']:.3f} s:"
        f" {ratio:.2f} times   (at most {most})"
    )
    print(
        f"peak memory     {large['peak']:8.1f} MB, {growth:+.1f} MB over a tenth of the models  "
        f" (at most +{MEMORY_MB})"
    )
    fast_enough = rate >= FIRST_SCAN or count < MANY
    return 0 if fast_enough and ratio <= most and growth <= MEMORY_MB else 1


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
