#!/usr/bin/env bash
# Builds .venv with every pinned requirement and Upkeep itself (editable). Fast and silent when nothing changed.
#
# Works where Python has no venv module or pip: root installs Debian's packages; anybody else gets pip's wheel out
# of Debian's package, unpacked below .venv, with nothing installed on the system.
set -euo pipefail
cd "$(dirname "$0")/.."
unset PYTHONDONTWRITEBYTECODE # without .pyc files every Airflow process compiles everything again (6 s instead of 1.6 s)
# The system's certificates where it has some: behind a proxy that looks into TLS only those know its issuer.
if [ -s /etc/ssl/certs/ca-certificates.crt ]; then
    export UV_SYSTEM_CERTS=true PIP_CERT="${PIP_CERT:-/etc/ssl/certs/ca-certificates.crt}"
fi

say() { printf '%s\n' "setup: $*" >&2; }
fail() { say "$@"; exit 1; }

find_python() {
    local candidate
    for candidate in ${UPKEEP_PYTHON:-} python3 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    fail "needs Python 3.11, 3.12 or 3.13 and finds none: install one (Debian: apt-get install python3)," \
        "or name it: UPKEEP_PYTHON=/path/to/python3.12 make setup"
}

# A virtual environment without ensurepip: Debian keeps the wheel that venv wants in a package of its own.
bootstrap_pip() {
    local packages=.venv/bootstrap wheel
    mkdir -p "$packages"
    say "this Python has no pip; taking Debian's wheel of it (nothing is installed on the system)"
    (cd "$packages" && { apt-get download -q python3-pip-whl || apt-get download -q python-pip-whl; }) >&2 ||
        fail "could not get pip: as root, apt-get install python3-venv python3-pip, then make setup again"
    for package in "$packages"/*.deb; do dpkg -x "$package" "$packages"; done
    wheel=$(find "$packages" -name 'pip-*.whl' | head -n 1)
    [ -n "$wheel" ] || fail "no pip wheel in Debian's package: apt-get install python3-venv, then make setup again"
    .venv/bin/python "$wheel/pip" install --quiet --no-warn-script-location "$wheel"
    rm -rf "$packages"
}

make_environment() {
    local python
    python=$(find_python)
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null && [ "$(id -u)" = 0 ] && [ "$python" = /usr/bin/python3 ]; then
        say "installing python3-venv (Debian ships Python without it)"
        apt-get update -qq >&2 && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3-venv >&2 || true
    fi
    rm -rf .venv
    if "$python" -c 'import ensurepip' 2>/dev/null; then
        "$python" -m venv .venv
    else
        "$python" -m venv --without-pip .venv || fail "cannot make a virtual environment with $python"
        bootstrap_pip
    fi
    .venv/bin/python -m pip install --quiet --disable-pip-version-check "uv==$(uv_version)"
}

uv_version() { sed -n 's/^uv==//p' requirements-dev.txt; }

digest() { cat requirements.txt requirements-dev.txt pyproject.toml "$0" | sha256sum | cut -d ' ' -f 1; }

stamp=.venv/upkeep-setup.sha256
if [ -x .venv/bin/upkeep ] && [ "$(cat "$stamp" 2>/dev/null)" = "$(digest)" ]; then
    exit 0
fi
started=$SECONDS
[ -x .venv/bin/uv ] && .venv/bin/python -c '' 2>/dev/null || make_environment
say "installing the pinned requirements"
.venv/bin/uv pip install --quiet --python .venv/bin/python -r requirements.txt -r requirements-dev.txt
.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --editable .
say "compiling once, so that no Airflow process has to"
.venv/bin/python -m compileall -q -j 0 .venv/lib >/dev/null 2>&1 || true # test data of some packages is broken on purpose
digest >"$stamp"
say "ready in $((SECONDS - started)) s: .venv/bin/upkeep --help"
