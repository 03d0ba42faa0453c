"""Malformed and malicious inputs, scanned in one root with good models beside them: ``python
tests/corpus/hostile.py ../shared``.

Holds: no crash and no internal error; each file under a second (of the machine that
``tests/support/timing.py`` describes); peak memory of the whole scan under 200 MB; every good
neighbour READY; every input that is to be rejected or flagged named with its reason; nothing
executed. Then all that was registered goes through validation, deep validation and test loads
(``hostile_trust.py``). Exits 1 when one of them fails.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BASE = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(BASE))

#: Runs ``manage.py`` and writes its peak memory, in KiB, as the last line of stderr.
MEASURED = """
import resource, runpy, sys
sys.argv[0] = "manage.py"
try:
    runpy.run_path("manage.py", run_name="__main__")
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""

MEMORY_MB = 200
SECONDS = 1.0

#: Cards and metadata are only read beside a model: these groups get one.
NEEDS_A_MODEL = ("card/", "json/metadata_hostile")


def prepare(shared: Path, folder: Path) -> tuple[Path, dict[str, dict[str, str]]]:
    from tests.support import builders

    root = folder / "models"
    hostile = root / "hostile"
    subprocess.run(
        [sys.executable, str(shared / "hostile" / "gen_hostile.py"), str(hostile)], check=True
    )
    manifest = json.loads((hostile / "manifest.json").read_text())
    for found in sorted((shared / "hostile" / "wild").glob("*.config.json")):
        name = f"json/wild-{found.name.removesuffix('.config.json')}/config.json"
        (hostile / name).parent.mkdir()
        shutil.copy(found, hostile / name)
        manifest[name] = {"group": "json", "what": "found in a public repository", "expect": "flag"}
    (hostile / "manifest.json").write_text(json.dumps(manifest))
    for name in manifest:
        if name.startswith(NEEDS_A_MODEL):
            builders.safetensors(
                hostile / Path(name).parent / "model.safetensors", [("w", "F32", (len(name), 2))]
            )
    for number in range(5):
        builders.transformers(root / f"good-{number}", hidden=64 + number * 8)
        builders.transformers(hostile / "safetensors" / f"good-{number}", hidden=128 + number * 8)
    builders.safetensors(
        root / "limits" / "tensor_50gb.safetensors", [("w", "F32", (12_500_000_000,))]
    )
    return root, manifest


def environment(folder: Path) -> dict[str, str]:
    """An installation of its own, on SQLite."""
    places = {"KAREN_DATA_DIR": "data", "KAREN_LOGS_DIR": "logs", "KAREN_CONFIG_DIR": "config"}
    env = {
        **os.environ,
        **{name: str(folder / place) for name, place in places.items()},
        "DJANGO_SETTINGS_MODULE": "karen_admin.settings",
    }
    for name in ("DATABASE_URL", "REDIS_URL"):
        env.pop(name, None)
    return env


def scan(root: Path, env: dict[str, str]) -> list[str]:
    """Complaints about the scan command itself: its end, its output, its memory."""
    subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=BASE, env=env, check=True)
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, "scan_models", str(root), "--json"],
        cwd=BASE,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    complaints = []
    report = json.loads(done.stdout or "{}")
    if done.returncode != 1 or report.get("status") != "done":
        complaints.append(f"the scan ended with {done.returncode}: {report}")
    if "Traceback" in done.stderr:
        complaints.append(f"a traceback on screen: {done.stderr[-2000:]}")
    peak = int(done.stderr.strip().splitlines()[-1]) / 1024
    print(
        f"scanned {report.get('found')} models in {report.get('seconds')} s, peak memory"
        f" {peak:.0f} MB"
    )
    if peak > MEMORY_MB:
        complaints.append(f"peak memory {peak:.0f} MB is over {MEMORY_MB}")
    return complaints


def read_each(root: Path) -> tuple[dict[str, str], dict[str, list[str]], list[str]]:
    """(status by path, messages by path, complaints): each candidate read on its own, its CPU time
    taken: others may be at work here.
    """
    from discovery.engine.core.config import Discovery
    from discovery.engine.core.errors import NotAModel
    from discovery.engine.core.paths import to_text
    from discovery.engine.core.types import Problem
    from discovery.engine.disk.walk import walk
    from discovery.engine.identify.identify import identify
    from tests.support.timing import slowness

    statuses: dict[str, str] = {}
    messages: dict[str, list[str]] = {}
    complaints: list[str] = []

    def said(path: str, text: str) -> None:
        messages.setdefault(to_text(path), []).append(text)

    for item in walk(str(root), Discovery()):
        if isinstance(item, Problem):
            said(item.path, item.message)
            continue
        started = time.process_time()
        try:
            models = identify(str(root), item, Discovery())
        except NotAModel as error:
            said(item.place, error.reason)
            models = []
        taken = (time.process_time() - started) / max(len(item.files), 1)
        if taken > SECONDS and taken > SECONDS * (slow := slowness()):
            complaints.append(
                f"{to_text(item.place)} took {taken:.2f} s a file on a machine {slow:.1f} times"
                " slower than the reference"
            )
        for problem in item.problems:
            said(problem.path, problem.message)
        for found in models:
            statuses[to_text(found.path)] = found.status
            for problem in found.problems:
                said(problem.path, problem.message)
    return statuses, messages, complaints


def judge(
    manifest: dict[str, dict[str, str]], statuses: dict[str, str], messages: dict[str, list[str]]
) -> list[str]:
    complaints = [
        f"the good model {path} is {status}"
        for path, status in statuses.items()
        if "good-" in path and status != "READY"
    ]
    if sum("good-" in path for path in statuses) != 10:
        complaints.append("not every good neighbour was found")
    for name, case in manifest.items():
        path = f"hostile/{name}"
        if case["expect"] not in ("reject", "flag") or name in UNSAID:
            continue
        home = path.rpartition("/")[0]
        if not messages.get(path) and not (
            case["group"] in ("json", "card", "tree") and messages.get(home)
        ):
            complaints.append(f"{name} ({case['what']}) is not named with a reason")
    return complaints


#: Inputs whose oddity lies where a scan does not look, each with why that is right.
UNSAID = {
    "card/html_open/README.md": "prose is cleaned when it is shown",
    "card/md_brackets/README.md": "prose is cleaned when it is shown",
    "card/md_emph/README.md": "prose is cleaned when it is shown",
    "card/md_lists/README.md": "prose is cleaned when it is shown",
    "card/md_quotes/README.md": "prose is cleaned when it is shown",
    "card/md_table/README.md": "prose is cleaned when it is shown",
    "card/yaml_bomb/README.md": "aliases are never expanded",
    "tree/noperm": "permissions do not bind the superuser",
    "tree/noread": "permissions do not bind the superuser",
}


def main(shared: Path) -> int:
    folder = Path(tempfile.mkdtemp(prefix="karen-hostile-"))
    try:
        root, manifest = prepare(shared, folder)
        env = environment(folder)
        complaints = scan(root, env)
        statuses, messages, slow = read_each(root)
        complaints += slow + judge(manifest, statuses, messages)
        trust = [sys.executable, str(Path(__file__).with_name("hostile_trust.py")), str(root)]
        if subprocess.run(trust, cwd=BASE, env=env, check=False).returncode:
            complaints.append("validation, deep validation or test loads: see above")
        if (root / "HOSTILE_EXECUTED").exists():
            complaints.append("a payload was EXECUTED")
    finally:
        subprocess.run(["chmod", "-R", "u+rwx", str(folder)], check=False)
        shutil.rmtree(folder)
    for line in complaints:
        print(line)
    print(
        f"{len(manifest)} hostile inputs, {len(complaints)} complaints,"
        f" {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB here"
    )
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
