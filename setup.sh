#!/bin/sh
# Make .venv with the host and every plugin of this clone; quick and offline when nothing has changed.
# Usage: REQUIREMENTS="file ..." . ./setup.sh   (sets PYTHON to the interpreter of .venv; sh's `.` takes no arguments)
set -eu

cd "$(dirname "$0")"
VENV=.venv
REQUIREMENTS=${REQUIREMENTS:-}
STAMP=$VENV/arthexis${REQUIREMENTS:+-tests}.stamp

newest_python() {
    for name in python3.13 python3.12 python3.11 python3; do
        if command -v "$name" >/dev/null 2>&1 &&
            "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    echo "Arthexis needs Python 3.11 or newer, and there is none here." >&2
    echo "On Ubuntu 22.04:  sudo apt install python3.11 python3.11-venv" >&2
    exit 1
}

stamp_of() {
    # shellcheck disable=SC2086 # the list is meant to be split
    cat setup.cfg pyproject.toml plugins/*/setup.cfg $REQUIREMENTS | cksum
    "$VENV/bin/python" -c 'import sys; print(sys.version)'
    pwd
}

if [ ! -x "$VENV/bin/python" ]; then
    python=$(newest_python)
    echo "Making $VENV with $("$python" --version) ..."
    "$python" -m venv "$VENV" || {
        rm -rf "$VENV"
        echo "Python's venv module is missing. On Debian and Ubuntu:  sudo apt install $(basename "$python")-venv" >&2
        exit 1
    }
fi
PYTHON="$PWD/$VENV/bin/python"

if [ "$(stamp_of)" != "$(cat "$STAMP" 2>/dev/null)" ]; then
    echo "Installing Arthexis and its plugins into $VENV (once) ..."
    host=".[fast,postgresql]"
    wanted=
    for plugin in plugins/*/; do
        [ -f "$plugin/setup.cfg" ] && wanted="$wanted -e $plugin"
    done
    for file in $REQUIREMENTS; do
        wanted="$wanted -r $file"
    done
    # shellcheck disable=SC2086 # the list is meant to be split
    "$PYTHON" -m pip install --quiet --disable-pip-version-check -e "$host" $wanted || {
        echo "The faster loop or the PostgreSQL driver cannot be had here; installing without them." >&2
        # shellcheck disable=SC2086 # the list is meant to be split
        "$PYTHON" -m pip install --quiet --disable-pip-version-check -e . $wanted
    }
    stamp_of >"$STAMP"
fi
