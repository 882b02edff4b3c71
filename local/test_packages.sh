#!/usr/bin/env bash
# Tries the ranges of pyproject.toml at both ends: the oldest packages that it allows, and the newest that there are.
# `requirements.txt`, which everything else runs on, lies between. An environment each, below build/packages.
#
#   local/test_packages.sh [oldest|newest] [pytest's arguments]     without arguments: what touches other people's code most
set -euo pipefail
cd "$(dirname "$0")/.."
unset PYTHONDONTWRITEBYTECODE
uv=.venv/bin/uv
# What the oldest environment's indirect packages may be: as old as the youngest of the lower bounds.
oldest=(--resolution lowest-direct --exclude-newer 2026-10-31)
newest=(--resolution highest)
tools=(pytest pytest-timeout pytest-xdist hypothesis time-machine supervisor sqlfluff import-linter uv playwright)
core=(--extra tidb --extra mongo --extra redis --extra archives)

# make_environment <oldest|newest> <core|airflow>: where it is, on standard output
make_environment() {
    local -n how=$1
    local home=build/packages/$1-$2 extras=("${core[@]}")
    [ "$2" = core ] || extras+=(--extra airflow)
    $uv venv --quiet --clear --python .venv/bin/python "$home"
    $uv pip compile --quiet --no-header --no-annotate --python "$home/bin/python" "${how[@]}" "${extras[@]}" pyproject.toml \
        -o "$home/requirements.txt" >/dev/null
    $uv pip install --quiet --python "$home/bin/python" -r "$home/requirements.txt" "${tools[@]}"
    $uv pip install --quiet --python "$home/bin/python" --no-deps --editable .
    printf '%s\n' "$home/bin/python"
}

ends=(oldest newest)
case ${1:-} in oldest | newest) ends=("$1"); shift ;; esac
for end in "${ends[@]}"; do
    python=$(make_environment "$end" core)
    grep -E '^(great-expectations|pandas|psycopg|pymongo|pyarrow|pydantic|redis)==' "build/packages/$end-core/requirements.txt" | paste -sd ' '
    if [ $# -gt 0 ]; then "$python" -m pytest "$@"; else
        "$python" -m pytest -q tests/unit -m "not slow" --ignore tests/unit/local
        "$python" -m pytest -q tests/integration/cli/test_cli.py tests/integration/postgres/data_retention/files/test_archive_types.py \
            tests/integration/mongo/data_retention/test_documents.py tests/integration/redis/cache_warming/test_warming.py
        python=$(make_environment "$end" airflow)
        grep -E '^apache-airflow' "build/packages/$end-airflow/requirements.txt" | paste -sd ' '
        # all but how fast DAG files are read, which is promised of the pinned packages only
        "$python" -m pytest -q tests/airflow/test_dag_files.py tests/airflow/test_runs.py tests/airflow/test_report_page.py \
            -k "not parse_in_a_second"
    fi
done
