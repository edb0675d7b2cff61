#!/bin/sh
# Set up (once) and run every check and test: ./test.sh [--fast]   (--fast leaves the benchmarks out)
REQUIREMENTS=requirements-test.txt
. "$(dirname "$0")/setup.sh"
fast=${1:-}
bin=$PWD/.venv/bin
log=$(mktemp)
trap 'rm -rf "$log" "$log".*' EXIT

missing=
need() { # need COMMAND-OR-GLOB PACKAGE...: install Debian packages that tests use, where that is possible
    probe=$1
    shift
    # shellcheck disable=SC2086 # the glob is meant to expand
    if command -v "$probe" >/dev/null 2>&1 || ls $probe >/dev/null 2>&1; then
        return
    fi
    sudo=
    [ "$(id -u)" = 0 ] || sudo="sudo -n"
    if command -v apt-get >/dev/null 2>&1 && $sudo true 2>/dev/null; then
        echo "== installing $*"
        $sudo apt-get -qq update >/dev/null || true # a mirror that is away may have the packages already
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y "$@" >/dev/null && return
    fi
    echo "== $probe is missing: tests that need $* are skipped"
    missing=yes
}

need_unstarted() { # as need, for packages that bring services: none of those starts, now or with the machine
    if command -v "$1" >/dev/null 2>&1; then
        return
    fi
    policy=/usr/sbin/policy-rc.d
    sudo=
    [ "$(id -u)" = 0 ] || sudo="sudo -n"
    made=
    if [ ! -e "$policy" ] && $sudo true 2>/dev/null; then
        printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null
        $sudo chmod 755 "$policy"
        made=yes
    fi
    need "$@"
    [ -z "$made" ] || $sudo rm -f "$policy"
    if command -v systemctl >/dev/null 2>&1 && command -v "$1" >/dev/null 2>&1; then
        $sudo systemctl disable "$1.service" >/dev/null 2>&1 || true
    fi
}

need "/usr/lib/postgresql/*/bin/postgres" postgresql
need gcc gcc libc6-dev
need valgrind valgrind
need npm nodejs npm
need chromium chromium
need dbus-daemon dbus
need nft nftables
need ip iproute2
need ping iputils-ping
need busybox busybox-static
need curl curl
need_unstarted NetworkManager --no-install-recommends network-manager dnsmasq-base
need umockdev-wrapper umockdev gir1.2-umockdev-1.0 python3-gi
need pcscd pcscd
need "/usr/lib/pcsc/drivers/serial/libifdvpcd.so" vsmartcard-vpcd
need socat socat
# Where all of it is here, no test may be skipped for want of it.
[ -n "$missing" ] || ! unshare --net --mount --pid --fork true 2>/dev/null || export ARTHEXIS_TESTS=whole

echo "== ruff"
"$bin/ruff" format --check --quiet .
"$bin/ruff" check --quiet .
echo "== mypy"
"$bin/mypy" --no-error-summary
echo "== layers"
"$bin/lint-imports" --no-cache >"$log" 2>&1 || { cat "$log"; exit 1; }
echo "== pytest"
tests() { # what failed is remembered in the cache
    "$PYTHON" -m pytest -q -o cache_dir="$log.cache" "$@" 2>&1 && : >"$log.passed" # the status of a pipe is tee's
}
# Three at a time, a file each: most tests wait for sockets, processes and disks.
tests -n 3 --dist loadfile --no-loadscope-reorder | tee "$log"
if [ ! -e "$log.passed" ]; then
    echo "== pytest: what failed beside others, once more alone"
    tests --last-failed --last-failed-no-failures none | tee "$log.alone"
fi
[ -e "$log.passed" ] || exit 1
echo "== the tutorial, from nothing but its page and our wheels"
"$PYTHON" -m tests.campaigns.from_nothing
if [ "$fast" != --fast ]; then
    echo "== benchmarks"
    "$PYTHON" -m benchmarks.instructions --check
    "$PYTHON" -m benchmarks.hanging --quick --check
    "$PYTHON" -m benchmarks.run --quick --check
fi
tail -n 1 "$log"
[ ! -e "$log.alone" ] || echo "what failed beside others passed alone: $(tail -n 1 "$log.alone")"
