"""A machine of its own, made of kernel namespaces: NetworkManager, an uplink, and guests on a wire.

Network, mounts and processes are private: nothing here touches the network of the machine that runs the tests, and all
of it is gone when its first process ends. Needs root and Debian's network-manager, dnsmasq-base and nftables.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.needs import lacks

TOOLS = ("NetworkManager", "dnsmasq", "nft", "dbus-daemon", "ip", "busybox", "unshare", "nsenter", "setpriv", "curl")
FAR = "203.0.113.80"
HELLO = "hello from the far side"
GATEKEEPER = Path(__file__).parent.parent / "src/arthexis_wifi_ap/gatekeeper.py"
SOCKET = "/run/gatekeeper.sock"
PORTAL = "http://10.42.7.1:8088/"
TOKEN = re.compile(r'name="token" value="([^"]+)"')
PUBLIC = """
[http]
host = "0.0.0.0"
port = 8899
[node]
role = "bare"
enable = ["arthexis-wifi-ap:wifi_ap"]
[plugins.wifi_ap]
interface = "lan0"
gatekeeper = "/run/gatekeeper.sock"
lease_minutes = 0.1
"""
SETUP = r"""
set -e
mount -t tmpfs t /run
mkdir -p /run/dbus /run/NetworkManager /run/udev /run/netns /run/www
for place in /etc/NetworkManager /var/lib/NetworkManager; do mount -t tmpfs t $place; done
mkdir -p /etc/NetworkManager/system-connections /etc/NetworkManager/dnsmasq-shared.d /etc/NetworkManager/conf.d
cd /etc/NetworkManager
printf '[main]\nplugins=keyfile\ndns=none\nrc-manager=unmanaged\nno-auto-default=*\n' >NetworkManager.conf
echo 'nameserver 198.51.100.1' >/run/resolv.conf
mount --bind /run/resolv.conf "$(readlink -f /etc/resolv.conf)"
ip link set lo up
for name in isp switch guest other; do ip netns add $name; ip -n $name link set lo up; done
ip link add up0 type veth peer name isp0 netns isp
ip link add lan0 type veth peer name port0 netns switch
ip link add guest0 netns guest type veth peer name port1 netns switch
ip link add guest0 netns other type veth peer name port2 netns switch
ip -n switch link add br0 type bridge
for port in port0 port1 port2; do ip -n switch link set $port master br0 up; done
ip -n switch link set br0 up
ip -n isp addr add 198.51.100.1/24 dev isp0
ip -n isp addr add 203.0.113.80/32 dev lo
ip -n isp addr add 192.168.77.1/32 dev lo
ip -n isp link set isp0 up
for name in guest other; do ip -n $name link set guest0 up; done
echo 'hello from the far side' >/run/www/index.html
ip netns exec isp busybox httpd -h /run/www -p 80
ip netns exec isp dnsmasq --no-resolv --no-hosts --address=/far.example/203.0.113.80 --pid-file=/run/isp.pid
cat >/run/dhcp.sh <<'X'
#!/bin/sh
[ "$1" = bound ] || exit 0
ip addr flush dev $interface
ip addr add $ip/$mask dev $interface
ip route replace default via $router
echo "$ip $router $dns $opt114" >/run/lease.$(cat /sys/class/net/$interface/address 2>/dev/null || echo x)
echo "lease $ip $router $dns $opt114"
X
chmod +x /run/dhcp.sh
dbus-daemon --system --fork --nopidfile
"""
ALONE = ("unshare", "-n", "-m", "-p", "-f", "--mount-proc", "--kill-child", "sleep", "1800")
READ_ONLY = ("mount", "-t", "sysfs", "-o", "ro", "s", "/sys")


class World:
    """The machine; ``run`` runs a command in it, or in one of its neighbours: isp, guest, other."""

    patience = 1.0

    def __init__(self) -> None:
        """Make it, with NetworkManager and the gatekeeper running and the uplink up."""
        self._others: list[subprocess.Popen[bytes]] = []
        self.enter()
        self.run("sh", "-c", SETUP)
        self.prepare()
        self.spawn("NetworkManager", "--no-daemon", "--log-level=INFO", log="nm.log")
        self.spawn(
            *("/usr/bin/python3", "-I", str(GATEKEEPER), "--user", "root", "--socket", SOCKET), log="gatekeeper.log"
        )
        self.until(lambda: self.run("nmcli", "general", "status", check=False).returncode == 0)
        for name in ("up0", "lan0"):
            self.run("nmcli", "device", "set", name, "managed", "yes")
        wired = ("connection", "add", "type", "ethernet", "ipv6.method", "disabled", "ipv4.method", "manual")
        address = ("ipv4.addresses", "198.51.100.2/24", "ipv4.gateway", "198.51.100.1")
        self.run("nmcli", *wired, "ifname", "up0", "con-name", "uplink", *address)
        self.run("nmcli", "-w", "20", "connection", "up", "uplink")

    def enter(self) -> None:
        """Be in namespaces of its own, and see no udev: NetworkManager does without where /sys is read only."""
        self._first = subprocess.Popen(ALONE, stderr=subprocess.DEVNULL)
        children = Path(f"/proc/{self._first.pid}/task/{self._first.pid}/children")
        self.until(lambda: bool(children.read_text("ascii").split()))
        self.pid = int(children.read_text("ascii").split()[0])
        self.until(lambda: Path(f"/proc/{self.pid}/cmdline").read_bytes().startswith(b"sleep"))
        self.run(*READ_ONLY)

    def prepare(self) -> None:
        """What else must be there before NetworkManager starts."""

    def inside(self, *command: str, where: str = "") -> list[str]:
        """The words that run a command in it."""
        neighbour = ("ip", "netns", "exec", where) if where else ()
        return ["nsenter", "-t", str(self.pid), "-n", "-m", "-p", "--wd=/", "--", *neighbour, *command]

    def run(self, *command: str, where: str = "", check: bool = True, **more: Any) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        environment = {**_clean(), **more.pop("env", {})}
        done = subprocess.run(
            self.inside(*command, where=where),
            capture_output=True,
            text=True,
            timeout=90 * self.patience,
            env=environment,
            check=False,
            **more,
        )
        assert not check or done.returncode == 0, f"{command[:4]}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
        return done

    def spawn(self, *command: str, log: str, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Run a command until the machine ends; what it says is in /run of the machine."""
        into = ["sh", "-c", f'exec "$@" >/run/{log} 2>&1 </dev/null', "sh"]
        process = subprocess.Popen(self.inside(*into, *command), env={**_clean(), **(env or {})})
        self._others.append(process)
        return process

    def until(self, check: Callable[[], Any], seconds: float = 20.0) -> Any:
        """Wait for something to hold; what it is then."""
        end = time.monotonic() + seconds * self.patience
        while not (found := check()):
            assert time.monotonic() < end, "it did not come"
            time.sleep(0.1)
        return found

    def read(self, path: str) -> str:
        """A file of the machine; empty where there is none yet."""
        return self.run("cat", path, check=False).stdout

    def get(self, url: str, where: str, *more: str) -> str:
        """What a guest gets of a URL: the body, or the word failed."""
        done = self.run("curl", "-s", "-m", str(4 * self.patience), *more, url, where=where, check=False)
        return done.stdout if done.returncode == 0 else f"failed {done.returncode}"

    def lease(self, where: str = "guest") -> list[str]:
        """Ask for an address by DHCP: address, router, name server, and option 114 as the server sent it."""
        done = self.run(
            *("busybox", "udhcpc", "-i", "guest0", "-s", "/run/dhcp.sh", "-O", "114", "-n", "-q", "-t", "8", "-T", "1"),
            where=where,
            check=False,
        )
        told = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("lease ")]
        return told[0] if told else []

    def addresses(self, where: str) -> list[str]:
        """The IPv4 addresses of a guest."""
        found = json.loads(self.run("ip", "-j", "-4", "addr", "show", "guest0", where=where).stdout)
        return [each["local"] for each in found[0]["addr_info"]] if found else []

    def mac(self, where: str = "guest") -> str:
        """A guest's MAC address."""
        return str(json.loads(self.run("ip", "-j", "link", "show", "guest0", where=where).stdout)[0]["address"])

    def end(self) -> None:
        """End everything that runs in it."""
        os.kill(self.pid, signal.SIGKILL)
        self._first.wait()
        for process in self._others:
            process.wait()


def _clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(("ARTHEXIS", "DBUS"))}


class Machine:
    """A node in the world, without any right, and its commands."""

    def __init__(self, world: World, home: Path) -> None:
        """Put its files there."""
        self.world = world
        self.home = home
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def _environment(self) -> dict[str, str]:
        return {"ARTHEXIS_HOME": str(self.home), "PYTHONUNBUFFERED": "1"}

    def start(self, config: str) -> None:
        """Start the node with these settings, and wait until its plugin answers."""
        self.home.mkdir(exist_ok=True, parents=True)
        (self.home / "arthexis.toml").write_text(config, "utf-8")
        (self.home / "control.json").unlink(missing_ok=True)
        self.world.run("rm", "-f", "/run/node.log")
        unprivileged = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs")
        command = (*unprivileged, sys.executable, "-m", "arthexis", "start")
        self._process = self.world.spawn(*command, log="node.log", env=self._environment)
        self.world.until(lambda: "Arthexis listens" in self.world.read("/run/node.log"), 40.0)
        self.world.until(lambda: "state" in self.api("GET", "/wifi"))

    def stop(self) -> None:
        """Stop it in order."""
        if self._process is not None:
            self.signal(signal.SIGTERM)

    def signal(self, number: int) -> None:
        """Send the node a signal that ends it, and wait until it has ended; nsenter has it as its only child."""
        assert self._process is not None
        own = self._process.pid
        children = Path(f"/proc/{own}/task/{own}/children").read_text("ascii").split()
        os.kill(int(children[0]) if children else own, number)
        self._process.wait(30 * self.world.patience)
        self._process = None

    @property
    def runs(self) -> bool:
        """Whether it was started and not stopped."""
        return self._process is not None

    def arthexis(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A command."""
        return self.world.run(sys.executable, "-m", "arthexis", *words, env=self._environment, check=check)

    def wifi(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A command ``arthexis wifi``."""
        return self.arthexis("wifi", *words, check=check)

    def told(self, *words: str) -> Any:
        """What ``arthexis wifi … --json`` says."""
        return json.loads(self.wifi(*words, "--json").stdout)

    def api(self, method: str, path: str, body: Any = None) -> Any:
        """What the node answers to a request below /api/v1, with its token."""
        control = json.loads((self.home / "control.json").read_text("utf-8"))
        said = ("-H", f"Authorization: Bearer {control['token']}", "-H", "Content-Type: application/json")
        sent = ("-d", json.dumps(body)) if body is not None else ()
        done = self.world.run(
            "curl",
            "-s",
            "-m",
            str(80 * self.world.patience),
            "-X",
            method,
            *said,
            *sent,
            f"{control['url']}/api/v1{path}",
        )
        return json.loads(done.stdout)

    def state(self) -> str:
        """The state of the access point."""
        return str(self.api("GET", "/wifi")["state"])

    def shut(self) -> None:
        """Let nobody through any more, without anybody being barred."""
        self.world.run("nft", "flush", "set", "inet", "arthexis_wifi", "admitted", check=False)

    def consent(self, where: str = "guest", *more: str) -> str:
        """Consent as a guest does with the page that it gets; the status and the body of what comes of it."""
        token = TOKEN.findall(self.world.get(PORTAL, where))[0]
        return self.world.get(f"{PORTAL}consent", where, "-w", "%{http_code}", "-d", f"token={token}", *more)


def missing() -> str:
    """Why the machine cannot be made here; empty where it can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "private namespaces need Linux and root"
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    gone = [tool for tool in TOOLS if shutil.which(tool, path=path) is None]
    if gone:
        return f"not installed: {', '.join(gone)} (apt install network-manager dnsmasq-base nftables busybox)"
    made = subprocess.run(["unshare", "-n", "-m", "-p", "-f", "true"], capture_output=True, check=False)
    return "" if made.returncode == 0 else "the kernel allows no namespaces here"


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    """The machine, one for all tests: each leaves it without an access point."""
    if reason := missing():
        lacks(reason)
    made = World()
    yield made
    made.end()


@pytest.fixture(scope="session")
def cafe(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A node for guests on the wire lan0; its network is not up yet."""
    made = Machine(world, tmp_path_factory.mktemp("cafe") / "node")
    made.start(PUBLIC)
    yield made
    made.stop()


@pytest.fixture
def machine(world: World, tmp_path: Path) -> Iterator[Machine]:
    """Another node in the world, not started yet; its network is taken away at the end."""
    made = Machine(world, tmp_path / "node")
    yield made
    if made.runs:
        made.api("DELETE", "/wifi")
        made.stop()


@pytest.fixture
def up(cafe: Machine) -> Machine:
    """The node for guests with its network up, and both guests with an address and without consent."""
    if cafe.state() != "up":
        cafe.api("POST", "/wifi/apply", {})
        cafe.api("POST", "/wifi/confirm")
    cafe.shut()
    for guest in ("guest", "other"):
        if not cafe.world.addresses(guest):
            assert cafe.world.lease(guest)
    return cafe


@pytest.fixture
def away(cafe: Machine) -> Machine:
    """The node for guests with its network taken away."""
    cafe.api("DELETE", "/wifi")
    for guest in ("guest", "other"):
        cafe.world.run("ip", "addr", "flush", "dev", "guest0", where=guest)
    return cafe
