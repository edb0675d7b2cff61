"""The gatekeeper: the only part that runs as root, with the standard library alone and a vocabulary of six words.

The node, whose user is not root (but may change NetworkManager's connections, by polkit's rule), sends one JSON object
in one line over a Unix socket and gets one back, which has a ``code`` where something was not done:

``open``    keep guests of an interface out until they are admitted: an nftables table, and a line for DHCP
``close``   take both away
``who``     the MAC address of a guest, from the kernel's neighbour table, and for how many seconds it is admitted yet
``admit``   let a guest's MAC address through for some seconds
``revoke``  let a MAC address through no longer
``leases``  every MAC address that is let through, and for how long

It never runs a shell, and takes nothing but interface names, addresses, ports, one host name and seconds, each checked.
Who asks is told by the kernel (SO_PEERCRED). Guests are named by their address on the network, never by a MAC address
that somebody sent. This file imports nothing of Arthexis, so that root runs a copy that only root can change.
"""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import json
import os
import pwd
import re
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable  # noqa: UP035 - the system's Python may be an older one

TABLE = "arthexis_wifi"
SNIPPET = "arthexis-wifi.conf"
SNIPPETS = Path("/etc/NetworkManager/dnsmasq-shared.d")
NEIGHBOURS = Path("/proc/net/arp")
ROUTES = Path("/proc/net/route")
ROUTES_6 = Path("/proc/net/ipv6_route")
LOOPBACK = "lo"
CLOSED = "closed"
NO_GUEST = "no-guest"
REFUSED = "refused"
FAILED = "failed"
COMPLETE = 0x2
MOST_ASKED = 4096
MOST_READ = 65_536
MOST_GUESTS = 4096
MOST_OF_ONE = 32
MOST_OF_ALL = 512
MOST_S = 31 * 86_400
PATIENCE_S = 3.0
TOOL_S = 10.0
INTERFACE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,14}").fullmatch
MAC = re.compile(r"([0-9a-f]{2}:){5}[0-9a-f]{2}").fullmatch
HOST_NAME = re.compile(
    r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+"
).fullmatch
PRIVATE = "10.0.0.0/8, 100.64.0.0/10, 169.254.0.0/16, 172.16.0.0/12, 192.168.0.0/16"

RULES = """\
table inet {table}
delete table inet {table}
table inet {table} {{
  set admitted {{
    type ether_addr
    size {most}
    flags timeout
  }}
  set connections {{
    type ipv4_addr
    size {most}
    flags dynamic
  }}
  chain prerouting {{
    type nat hook prerouting priority dstnat - 5; policy accept;
    iifname "{interface}" ether saddr != @admitted tcp dport 80 redirect to :{port}
  }}
  chain forward {{
    type filter hook forward priority filter - 5; policy accept;
    iifname "{interface}" ether saddr != @admitted reject with icmpx type admin-prohibited
    {isolated}
    {private}
  }}
  chain input {{
    type filter hook input priority filter - 5; policy accept;
    iifname "{interface}" jump guests
  }}
  chain guests {{
    ct state established,related accept
    udp dport 67 accept
    udp dport 53 accept
    tcp dport 53 accept
    {limited}
    tcp dport {{ {ports} }} accept
    icmp type echo-request accept
    reject with icmpx type admin-prohibited
  }}
}}
"""
LIMIT = f"""\
tcp dport {{{{ {{ports}} }}}} add @connections {{{{ ip saddr ct count over {MOST_OF_ONE} }}}} reject with tcp reset
    tcp dport {{{{ {{ports}} }}}} ct count over {MOST_OF_ALL} reject with tcp reset"""


class Wrong(Exception):
    """What was asked is not in the vocabulary, or cannot be done; the text says why, ``code`` what programs go by."""

    def __init__(self, text: str, code: str = REFUSED) -> None:
        """Say this to a person, and that to a program."""
        super().__init__(text)
        self.code = code


def interface_of(asked: dict[str, Any]) -> str:
    """A name that the kernel allows for an interface, and nothing that means more to nft."""
    name = asked.get("interface")
    if not isinstance(name, str) or not INTERFACE(name):
        raise Wrong("interface: no name of an interface")
    return name


def address_of(asked: dict[str, Any], member: str) -> str:
    """An IPv4 address that can belong to one machine."""
    try:
        address = ipaddress.IPv4Address(asked.get(member) if isinstance(asked.get(member), str) else "")
    except ValueError:
        raise Wrong(f"{member}: no IPv4 address") from None
    if address.is_multicast or address.is_unspecified or address.is_loopback:
        raise Wrong(f"{member}: the address of no guest")
    return str(address)


def home_of(asked: dict[str, Any]) -> str:
    """This node's address in the network, a private one; NetworkManager gives it when the gate is closed already."""
    address = address_of(asked, "address")
    if not any(ipaddress.IPv4Address(address) in ipaddress.IPv4Network(net) for net in PRIVATE.split(", ")):
        raise Wrong(f"address: none of {PRIVATE}")
    return address


def mac_of(text: object) -> str:
    """A MAC address of one machine, in lower case: not everybody's, not a group's, not nobody's."""
    mac = text.lower() if isinstance(text, str) else ""
    if not MAC(mac) or int(mac[:2], 16) & 1 or mac == "00:00:00:00:00:00":
        raise Wrong("mac: not the MAC address of one machine")
    return mac


def number_of(asked: dict[str, Any], member: str, least: int, most: int) -> int:
    """A whole number within bounds."""
    value = asked.get(member)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise Wrong(f"{member}: no whole number from {least} to {most}")
    return value


def flag_of(asked: dict[str, Any], member: str) -> bool:
    """True or false."""
    value = asked.get(member)
    if not isinstance(value, bool):
        raise Wrong(f"{member}: neither true nor false")
    return value


def rules(asked: dict[str, Any], limited: bool) -> str:
    """The whole table, which replaces the one that is there in one step; ``limited``: connections are counted."""
    interface, port = interface_of(asked), number_of(asked, "port", 1024, 65535)
    tls_port = number_of(asked, "tls_port", 0, 65535)
    ports = ", ".join(str(p) for p in dict.fromkeys((port, tls_port)) if p)
    own = f'iifname "{interface}"'
    isolated = f'{own} oifname "{interface}" reject with icmpx type admin-prohibited'
    private = f"{own} ip daddr {{ {PRIVATE} }} reject with icmpx type admin-prohibited"
    return RULES.format(
        table=TABLE,
        most=MOST_GUESTS,
        interface=interface,
        port=port,
        ports=ports,
        limited=LIMIT.format(ports=ports) if limited else "",
        isolated=isolated if flag_of(asked, "isolated") else "",
        private="" if flag_of(asked, "reach_private") else private,
    )


def snippet(asked: dict[str, Any]) -> str:
    """What dnsmasq tells the guests of this interface alone: where the portal's API is (RFC 8910)."""
    interface, address = interface_of(asked), home_of(asked)
    name, tls_port = asked.get("name"), number_of(asked, "tls_port", 0, 65535)
    if not name:
        url, more = f"http://{address}:{number_of(asked, 'port', 1024, 65535)}/captive-portal", ""
    elif isinstance(name, str) and HOST_NAME(name) and tls_port:
        url, more = f"https://{name}:{tls_port}/captive-portal", f"interface-name={name},{interface}/4\n"
    else:
        raise Wrong("name: no host name of two labels or more, or no tls_port with it")
    return f"# Written by arthexis-wifi-gatekeeper, and removed by it.\n{more}dhcp-option=tag:{interface},114,{url}\n"


def gone(mac: str) -> str:
    """Nft's words for taking a MAC address out of the set, whether it is in it or not."""
    element = f"element inet {TABLE} admitted {{ {mac} }}"
    return f"add {element}\ndelete {element}\n"


def added(mac: str, seconds: int) -> str:
    """Nft's words for putting one in; taken out first, because one that is there would keep its old time."""
    return f"{gone(mac)}add element inet {TABLE} admitted {{ {mac} timeout {seconds}s }}\n"


def uplinks() -> set[str]:
    """The interfaces to which a default route of this machine goes, by IPv4 or IPv6."""
    lines = [line.split() for line in ROUTES.read_text("ascii").splitlines()[1:]]
    found = {parts[0] for parts in lines if len(parts) > 7 and parts[1] == parts[7] == "00000000"}
    with contextlib.suppress(FileNotFoundError):
        lines = [line.split() for line in ROUTES_6.read_text("ascii").splitlines()]
        found |= {parts[9] for parts in lines if len(parts) > 9 and parts[0] == "0" * 32 and parts[1] == "00"}
    return found - {LOOPBACK}


def neighbour(interface: str, address: str) -> str:
    """The MAC address that the kernel itself has seen for an address on this interface."""
    for line in NEIGHBOURS.read_text("ascii").splitlines()[1:]:
        parts = line.split()
        if len(parts) == 6 and parts[0] == address and parts[5] == interface and int(parts[2], 16) & COMPLETE:
            return mac_of(parts[3])
    raise Wrong("client: the kernel knows no such neighbour on this interface", NO_GUEST)


def refusal(text: str, code: str = REFUSED) -> dict[str, Any]:
    """The answer where something was not done."""
    return {"ok": False, "code": code, "error": text}


class Gatekeeper:
    """The six words over the kernel's tables; it remembers nothing itself."""

    def __init__(self, snippets: Path) -> None:
        """Write DHCP's part into this folder."""
        self._snippets = snippets
        self.words: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "open": self._open,
            "close": self._close,
            "who": self._who,
            "admit": self._admit,
            "revoke": self._revoke,
            "leases": lambda _: {"leases": self._leases()},
        }

    def answer(self, line: bytes) -> dict[str, Any]:
        """Do what one line asks, and say what came of it."""
        try:
            asked = json.loads(line)
        except (ValueError, RecursionError):
            return refusal("no JSON object")
        try:
            word = self.words.get(str(asked.get("do"))) if isinstance(asked, dict) else None
            if word is None:
                raise Wrong(f"do: one of {', '.join(self.words)}")
            return {"ok": True, **word(asked)}
        except Wrong as wrong:
            return refusal(str(wrong), wrong.code)
        except OSError as error:
            return refusal(f"{error.filename or 'the system'}: {error.strerror}", FAILED)
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
            return refusal(f"the system's tables are not of the form that is known here: {error!r}", FAILED)

    def _open(self, asked: dict[str, Any]) -> dict[str, Any]:
        rules(asked, True)
        text = snippet(asked)
        if interface_of(asked) == LOOPBACK:
            raise Wrong("interface: this machine talks to itself there, so no guests come from it")
        if interface_of(asked) in uplinks():
            raise Wrong("interface: the default route goes there, so no guests come from it")
        kept = self._leases() if self._is_open() else []
        limited = self._replace(asked, "".join(added(lease["mac"], lease["seconds"]) for lease in kept))
        self._snippets.mkdir(mode=0o755, parents=True, exist_ok=True)
        draft = self._snippets / f".{SNIPPET}"
        draft.write_text(text, "ascii")
        draft.chmod(0o644)
        draft.replace(self._snippets / SNIPPET)
        return {"limited": limited}

    def _replace(self, asked: dict[str, Any], admitted: str) -> bool:
        """Put the table; whether it counts each guest's connections, which not every kernel does (nft_connlimit)."""
        try:
            self._nft(rules(asked, True) + admitted)
        except Wrong:
            self._nft(rules(asked, False) + admitted)
            return False
        return True

    def _close(self, _: dict[str, Any]) -> dict[str, Any]:
        self._nft(f"table inet {TABLE}\ndelete table inet {TABLE}\n")
        with contextlib.suppress(FileNotFoundError):
            (self._snippets / SNIPPET).unlink()
        return {}

    def _who(self, asked: dict[str, Any]) -> dict[str, Any]:
        mac = neighbour(interface_of(asked), address_of(asked, "client"))
        left = next((lease["seconds"] for lease in self._leases() if lease["mac"] == mac), 0)
        return {"mac": mac, "seconds": left}

    def _admit(self, asked: dict[str, Any]) -> dict[str, Any]:
        seconds = number_of(asked, "seconds", 1, MOST_S)
        mac = neighbour(interface_of(asked), address_of(asked, "client"))
        self._nft(added(mac, seconds))
        return {"mac": mac, "seconds": seconds}

    def _revoke(self, asked: dict[str, Any]) -> dict[str, Any]:
        mac = mac_of(asked.get("mac"))
        was = any(lease["mac"] == mac for lease in self._leases())
        self._nft(gone(mac))
        return {"was_admitted": was}

    def _is_open(self) -> bool:
        tables = json.loads(self._nft_list("tables", "inet"))["nftables"]
        return any(entry.get("table", {}).get("name") == TABLE for entry in tables)

    def _leases(self) -> list[dict[str, Any]]:
        found = json.loads(self._nft_list("set", "inet", TABLE, "admitted"))["nftables"]
        elements: list[Any] = next((entry["set"].get("elem", []) for entry in found if "set" in entry), [])
        inner = [entry["elem"] for entry in elements if isinstance(entry, dict)]
        return [{"mac": e["val"], "seconds": max(1, e["expires"])} for e in inner if "expires" in e]

    def _nft(self, text: str) -> None:
        self._run(["nft", "-f", "-"], text)

    def _nft_list(self, *words: str) -> str:
        return self._run(["nft", "-j", "list", *words], "")

    def _run(self, command: list[str], text: str) -> str:
        try:
            done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=TOOL_S, check=False)
        except FileNotFoundError:
            raise Wrong("nft is not installed: apt install nftables") from None
        except subprocess.TimeoutExpired:
            raise Wrong("nft does not answer") from None
        if done.returncode:
            said = done.stderr.strip().splitlines()
            if "No such file" in done.stderr:
                raise Wrong("closed", CLOSED)
            raise Wrong(f"nft: {said[0] if said else 'failed'}", FAILED)
        return done.stdout


def listening(path: str | None) -> socket.socket:
    """The socket that systemd handed over, or a new one at this path."""
    if path is None:
        if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
            raise SystemExit("no socket: start it by its systemd socket unit, or with --socket PATH")
        return socket.socket(fileno=3)
    with contextlib.suppress(FileNotFoundError):
        Path(path).unlink()
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o117)
    try:
        server.bind(path)
    finally:
        os.umask(before)
    server.listen(16)
    return server


def peer_uid(connection: socket.socket) -> int:
    """The user who is at the other end, as the kernel says."""
    size = struct.calcsize("3i")
    _, uid, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
    return int(uid)


def line_of(connection: socket.socket) -> bytes:
    """One line, or what there is of it when the peer stops sending; nothing if it is longer than any question."""
    got = b""
    while b"\n" not in got and len(got) <= MOST_READ:
        more = connection.recv(MOST_ASKED)
        if not more:
            break
        got += more
    return got if len(got) <= MOST_ASKED else b""


def serve(server: socket.socket, gatekeeper: Gatekeeper, uid: int) -> None:
    """Answer one line of each connection, one after the other, for root and this user only."""
    while True:
        connection, _ = server.accept()
        with connection, contextlib.suppress(OSError):
            connection.settimeout(PATIENCE_S)
            if peer_uid(connection) in {0, uid}:
                answer = gatekeeper.answer(line_of(connection))
            else:
                answer = refusal("not for this user")
            connection.sendall(json.dumps(answer).encode() + b"\n")


def main() -> None:
    """Run until SIGTERM."""
    parser = argparse.ArgumentParser(description="Keeps the gate of the Arthexis access point.")
    parser.add_argument("--user", required=True, help="the user that the node runs as")
    parser.add_argument("--socket", help="where to listen; left out: the socket that systemd hands over")
    parser.add_argument("--snippets", type=Path, default=SNIPPETS, help="folder of NetworkManager for shared dnsmasq")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    os.environ.update(PATH="/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL="C")
    try:
        user = pwd.getpwnam(options.user)
    except KeyError:
        raise SystemExit(f"there is no user {options.user}") from None
    server = listening(options.socket)
    if options.socket:
        os.chown(options.socket, user.pw_uid, user.pw_gid)
    serve(server, Gatekeeper(options.snippets), user.pw_uid)


if __name__ == "__main__":
    main()
