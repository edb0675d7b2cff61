#!/bin/sh
# Stop the node that ./start.sh runs.
cd "$(dirname "$0")" || exit 1
ARTHEXIS_HOME=${ARTHEXIS_HOME:-$PWD/.arthexis}
export ARTHEXIS_HOME
exec .venv/bin/python -m arthexis stop "$@"
