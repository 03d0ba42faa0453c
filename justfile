# Short names for what CONTRIBUTING.md tells. `just` lists them; `just test -k cards` hands on what follows.

default:
    @just --list

# Style, types, import contracts, migrations
check:
    ruff check .
    ruff format --check .
    djade --check --target-version 5.2 $(git ls-files 'templates/*.html')
    mypy
    lint-imports
    python manage.py makemigrations --check --dry-run

# The inner loop: without the browser and without slow tests
test *options:
    pytest -m "not e2e and not slow" -n auto {{ options }}

# Migrates, starts the workers, scans, serves
serve *options:
    python manage.py serve {{ options }}

# Benchmarks that a machine of any speed must pass
bench:
    python tests/benchmarks/headers.py
    python tests/benchmarks/scan.py 2000
    python tests/benchmarks/checksums.py 500000000

# Pin for CI what pip finds today for [dev]
constraints:
    #!/usr/bin/env bash
    set -euo pipefail
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" install --quiet -e ".[dev]"
    { head -n 2 constraints.txt; "$work/venv/bin/pip" freeze --exclude-editable; } > "$work/new"
    cp "$work/new" constraints.txt
