"""The part that runs as root: what it does for whom, and what no text can make it do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from arthexis_wifi_ap import gatekeeper, planning

OPEN = {
    "do": "open",
    "interface": "lan0",
    "address": "10.42.7.1",
    "port": 8088,
    "tls_port": 0,
    "name": "",
    "isolated": True,
    "reach_private": False,
}
ASK = """
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.settimeout(10)
s.connect("/run/gatekeeper.sock")
s.sendall(bytes.fromhex(sys.argv[1]))
s.shutdown(socket.SHUT_WR)
print(s.makefile().read())
"""


def sent(world: Any, line: bytes, *before: str) -> dict[str, Any]:
    done = world.run(*before, "/usr/bin/python3", "-c", ASK, line.hex())
    return dict(json.loads(done.stdout))


def ask(world: Any, **members: Any) -> dict[str, Any]:
    return sent(world, json.dumps(members).encode() + b"\n")


HOSTILE = {
    "another table": {**OPEN, "interface": 'lan0" accept; }; flush ruleset #'},
    "a long name": {**OPEN, "interface": "x" * 16},
    "a path": {**OPEN, "interface": "../../etc"},
    "a port of the system": {**OPEN, "port": 22},
    "a port that is text": {**OPEN, "port": "8088 accept"},
    "a port that is true": {**OPEN, "port": True},
    "everybody's address": {**OPEN, "address": "0.0.0.0"},
    "an address and more": {**OPEN, "address": "10.42.7.1\ndhcp-script=/bin/sh"},
    "a name and more": {**OPEN, "name": "portal.example\ndhcp-script=/bin/sh", "tls_port": 8443},
    "a name without its port": {**OPEN, "name": "portal.example"},
    "a flag that is text": {**OPEN, "isolated": "no"},
    "the loopback": {**OPEN, "interface": "lo"},
    "an address of somebody else": {**OPEN, "address": "203.0.113.80"},
    "a top level": {**OPEN, "name": "example", "tls_port": 8443},
    "the uplink": {**OPEN, "interface": "up0"},
    "no guest": {"do": "admit", "interface": "lan0", "client": "10.42.7.250", "seconds": 60},
    "for ever": {"do": "admit", "interface": "lan0", "client": "10.42.7.250", "seconds": 10**9},
    "never": {"do": "admit", "interface": "lan0", "client": "10.42.7.250", "seconds": 0},
    "a group's MAC": {"do": "revoke", "mac": "01:00:5e:00:00:01"},
    "everybody's MAC": {"do": "revoke", "mac": "ff:ff:ff:ff:ff:ff"},
    "nobody's MAC": {"do": "revoke", "mac": "00:00:00:00:00:00"},
    "MAC and more": {"do": "revoke", "mac": "02:00:00:00:00:01 } ; flush ruleset"},
    "a word it does not know": {"do": "run", "command": "id"},
    "a word that is a list": {"do": ["open"]},
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_is_outside_its_vocabulary_is_refused_and_changes_nothing(world: Any, cafe: Any, kind: str) -> None:
    cafe.api("DELETE", "/wifi")
    world.until(lambda: world.run("nft", "list", "tables").stdout == "")
    before = world.run("nft", "list", "ruleset").stdout
    answer = ask(world, **HOSTILE[kind])
    assert answer["ok"] is False
    assert answer["error"]
    assert world.run("nft", "list", "ruleset").stdout == before
    assert world.run("ls", "-A", "/etc/NetworkManager/dnsmasq-shared.d").stdout == ""


@pytest.mark.parametrize("line", [b"", b"\n", b"[]\n", b"\xff\xfe\n", b"[" * 3000 + b"\n", b"x" * 9000, b"1\n"])
def test_junk_is_answered_and_survived(world: Any, line: bytes) -> None:
    assert sent(world, line)["ok"] is False
    assert ask(world, do="close")["ok"] is True


def test_it_serves_root_and_the_node_s_user_and_nobody_else(world: Any) -> None:
    question = b'{"do": "close"}\n'
    other = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    refused = world.run(*other, "/usr/bin/python3", "-c", ASK, question.hex(), check=False)
    assert "PermissionError" in refused.stderr, "the file itself keeps others out"
    world.run("chmod", "666", "/run/gatekeeper.sock")
    try:
        assert ask(world, **OPEN)["ok"]
        asked = world.run(*other, "/usr/bin/python3", "-c", ASK, question.hex(), check=False)
        assert '"ok": true' not in asked.stdout
        assert ask(world, do="leases") == {"ok": True, "leases": []}, "it is still open"
        assert ask(world, do="close")["ok"]
    finally:
        world.run("chmod", "660", "/run/gatekeeper.sock")


def test_opening_again_keeps_who_is_admitted_and_for_how_long(world: Any, cafe: Any) -> None:
    cafe.api("DELETE", "/wifi")
    assert ask(world, **OPEN)["ok"]
    element = "{ 02:00:00:00:00:01 timeout 500s }"
    world.run("nft", "add", "element", "inet", "arthexis_wifi", "admitted", element)
    assert ask(world, **{**OPEN, "isolated": False})["ok"]
    (lease,) = ask(world, do="leases")["leases"]
    assert lease["mac"] == "02:00:00:00:00:01"
    assert 490 <= lease["seconds"] <= 500
    assert ask(world, do="revoke", mac="02-00-00-00-00-01")["ok"] is False
    assert ask(world, do="revoke", mac="02:00:00:00:00:01") == {"ok": True, "was_admitted": True}
    assert ask(world, do="close")["ok"]
    assert ask(world, do="leases") == {"ok": False, "code": "closed", "error": "closed"}


def test_a_kernel_that_cannot_count_connections_gets_a_gate_that_says_so(tmp_path: Path) -> None:
    told: list[str] = []

    class Older(gatekeeper.Gatekeeper):
        def _run(self, command: list[str], text: str) -> str:
            if "ct count" in text:
                raise gatekeeper.Wrong("closed")
            told.append(text)
            return '{"nftables": []}'

    assert Older(tmp_path).answer(json.dumps(OPEN).encode()) == {"ok": True, "limited": False}
    assert "tcp dport { 8088 } accept" in told[-1]


def test_an_interface_with_a_default_route_of_ipv6_is_an_uplink(world: Any, cafe: Any) -> None:
    cafe.api("DELETE", "/wifi")
    made = "echo 0 >/proc/sys/net/ipv6/conf/lan0/disable_ipv6; ip link set lan0 up"
    world.run("sh", "-ec", f"{made}; ip -6 route add default dev lan0 metric 4096")
    try:
        refused = ask(world, **OPEN)
        assert "default route" in refused["error"]
        assert refused["code"] == "refused"
    finally:
        world.run("ip", "-6", "route", "del", "default", "dev", "lan0")


@pytest.mark.parametrize(
    "said", ["[]", "{}", '{"nftables": [{"set": {"elem": [{"elem": 1}]}}]}', '{"nftables": 1}', "x"]
)
def test_tables_of_an_unknown_form_are_a_failure_that_it_survives(tmp_path: Path, said: str) -> None:
    class Odd(gatekeeper.Gatekeeper):
        def _run(self, command: list[str], text: str) -> str:
            return said

    told = Odd(tmp_path).answer(b'{"do": "leases"}')
    assert (told["ok"], told["code"]) == (False, "failed")
    assert "form" in told["error"]


def test_a_portal_with_a_name_is_told_to_dhcp_with_its_name(world: Any, cafe: Any) -> None:
    cafe.api("DELETE", "/wifi")
    assert ask(world, **{**OPEN, "name": "portal.example.org", "tls_port": 8443})["ok"]
    snippet = world.read("/etc/NetworkManager/dnsmasq-shared.d/arthexis-wifi.conf")
    assert "interface-name=portal.example.org,lan0/4\n" in snippet
    assert "dhcp-option=tag:lan0,114,https://portal.example.org:8443/captive-portal\n" in snippet
    assert "tcp dport { 8088, 8443 } accept" in world.run("nft", "list", "ruleset").stdout
    assert ask(world, do="close")["ok"]


def test_plan_and_gatekeeper_mean_the_same_private_networks() -> None:
    assert ", ".join(str(each) for each in planning.PRIVATE) == gatekeeper.PRIVATE
