#!/bin/sh
# Makes the virtual environment that `make` works in; says what is missing when it cannot.
set -eu

refuse() {
    printf 'make setup: %s\n' "$1" >&2
    exit 1
}

command -v "$PYTHON" >/dev/null 2>&1 ||
    refuse "there is no $PYTHON. Install Python 3.11 or later, or name one: make setup PYTHON=python3.12"
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    refuse "$("$PYTHON" --version) is too old: 3.11 or later is needed. Name another one: make setup PYTHON=python3.12"

wanted="$("$PYTHON" --version) $(cksum <requirements.lock)"
if [ -x "$VENV/bin/python" ] && [ "$(cat "$STAMP" 2>/dev/null || true)" = "$wanted" ]; then
    exit 0
fi

"$PYTHON" -c 'import venv, ensurepip' 2>/dev/null ||
    refuse "$PYTHON cannot make virtual environments. Install its venv module (Debian, Ubuntu: apt install python3-venv)."

echo "Setting up $VENV (takes a minute or two the first time)"
rm -f "$STAMP"
"$PYTHON" -m venv --clear "$VENV"
# The lock is complete, so nothing needs resolving again (and pip would refuse gbstats beside a present numpy).
"$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement requirements.lock ||
    refuse "the packages could not be installed; the lines above say why. The same command tries again."
printf '%s\n' "$wanted" >"$STAMP"
