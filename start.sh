#!/bin/sh
# Set up (once) and run a Terminal node: ./start.sh [--port 8888] [--strict] [--lan] ...
. "$(dirname "$0")/setup.sh"
ARTHEXIS_HOME=${ARTHEXIS_HOME:-$PWD/.arthexis}
export ARTHEXIS_HOME
exec "$PYTHON" -m arthexis start --open "$@"
