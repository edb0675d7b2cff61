"""Changes of a real network: put back when they cost the way in or out, or when nobody says that they may stay."""

from __future__ import annotations

import signal
from typing import Any

import pytest

FAR = "http://203.0.113.80/"
HELLO = "hello from the far side"
ROUTER = """
[http]
host = "0.0.0.0"
port = 8898
[node]
role = "bare"
enable = ["arthexis-wifi-ap:wifi_ap"]
[plugins.wifi_ap]
profile = "router"
interface = "lan0"
address = "10.42.8.1/24"
gatekeeper = "/run/nobody-is-here.sock"
"""
LAN = ("connection", "add", "type", "ethernet", "ifname", "lan0", "con-name", "office", "ipv6.method", "disabled")


def tables(machine: Any) -> str:
    return str(machine.world.run("nft", "list", "tables").stdout)


def connections(machine: Any) -> str:
    return str(machine.world.run("nmcli", "-t", "-f", "NAME,DEVICE", "connection", "show", "--active").stdout)


def applied(machine: Any, within_s: int, **more: Any) -> Any:
    found = machine.api("POST", "/wifi/apply", {"confirm_within_s": within_s, **more})
    assert found.get("state") == "unconfirmed", found
    return found


def gone(machine: Any, seconds: float = 20.0) -> None:
    machine.world.until(lambda: machine.state() == "absent", seconds)
    machine.world.until(lambda: "arthexis" not in tables(machine))


def test_a_second_change_waits_for_the_first_and_remove_ends_it(away: Any) -> None:
    applied(away, 30)
    assert "waits for its confirmation" in away.api("POST", "/wifi/apply", {})["detail"]
    assert away.api("DELETE", "/wifi")["state"] == "absent"
    gone(away)


def test_a_change_that_costs_the_uplink_is_put_back(away: Any) -> None:
    applied(away, 60)
    away.world.run("ip", "link", "set", "isp0", "down", where="isp")
    try:
        gone(away)
        assert "uplink up0 was lost" in away.api("GET", "/wifi")["said"]
    finally:
        away.world.run("ip", "link", "set", "isp0", "up", where="isp")
        away.world.until(lambda: "uplink:up0" in connections(away))


@pytest.fixture
def office(away: Any) -> Any:
    """A connection on lan0 before ours, with an address by which an administrator comes."""
    away.world.run("nmcli", *LAN, "ipv4.method", "manual", "ipv4.addresses", "10.50.0.1/24")
    away.world.run("nmcli", "-w", "20", "connection", "up", "office")
    yield away
    away.world.run("nmcli", "connection", "delete", "office")


def test_a_change_that_cuts_the_administrator_off_is_put_back_at_once(office: Any) -> None:
    plan = office.api("GET", "/wifi/plan")
    assert "lan0 leaves office" in plan["changes"]
    refused = office.api("POST", "/wifi/apply", {"admin": "10.50.0.1"})
    assert "10.50.0.1, by which the admin came, was lost" in refused["detail"]
    gone(office)
    office.world.until(lambda: "office:lan0" in connections(office))
    assert "10.50.0.1" in office.world.run("ip", "addr", "show", "lan0").stdout


def test_what_nobody_confirms_is_put_back_with_all_that_was_there_before(office: Any) -> None:
    applied(office, 5)
    assert "arthexis-wifi:lan0" in connections(office)
    gone(office)
    office.world.until(lambda: "office:lan0" in connections(office))
    assert "nobody confirmed" in office.api("GET", "/wifi")["said"]
    late = office.api("POST", "/wifi/confirm")
    assert (late["status"], late["code"]) == (409, "refused")


def test_a_node_that_dies_before_the_confirmation_leaves_no_network(away: Any) -> None:
    applied(away, 5)
    away.signal(signal.SIGKILL)
    away.world.until(lambda: "arthexis-wifi" not in connections(away), 30.0)
    assert "arthexis_wifi" in tables(away), "the gate stays shut until somebody takes it away"
    away.start((away.home / "arthexis.toml").read_text("utf-8"))
    gone(away)


def test_a_restart_of_the_node_keeps_guests_in_and_strangers_out(up: Any) -> None:
    up.world.run("nft", "add", "element", "inet", "arthexis_wifi", "admitted", f"{{ {up.world.mac()} timeout 60s }}")
    assert HELLO in up.world.get(FAR, "guest")
    up.signal(signal.SIGKILL)
    assert HELLO in up.world.get(FAR, "guest"), "who was let in stays in"
    assert HELLO not in up.world.get(FAR, "other"), "who was not stays out"
    up.start((up.home / "arthexis.toml").read_text("utf-8"))
    assert up.state() == "up"
    up.world.until(lambda: up.api("GET", "/wifi")["portal"])
    assert HELLO in up.world.get(FAR, "guest")
    assert up.world.get(FAR, "other", "-i").startswith("HTTP/1.1 302")


def test_a_network_that_goes_down_comes_up_again_behind_its_gate(up: Any) -> None:
    up.world.run("nmcli", "device", "disconnect", "lan0")
    up.world.run("nft", "delete", "table", "inet", "arthexis_wifi")
    up.world.until(lambda: "arthexis_wifi" in tables(up) and up.state() == "up", 40.0)
    assert HELLO not in up.world.get(FAR, "guest")


def test_a_router_shares_its_uplink_without_portal_or_gatekeeper(machine: Any, away: Any) -> None:
    world = machine.world
    machine.start(ROUTER)
    assert machine.told("apply", "--yes")["state"] == "up"
    address, router, _, option = [*world.lease("guest"), ""][:4]
    assert address.startswith("10.42.8.")
    assert (router, option) == ("10.42.8.1", "")
    assert HELLO in world.get(FAR, "guest")
    assert "Arthexis" in world.get("http://10.42.8.1:8898/", "guest"), "stations in it reach the node"
    assert machine.told("clients")[0]["admitted"] is True
    machine.stop()
    assert HELLO in world.get(FAR, "guest"), "it goes on while the node is away"
    machine.start(ROUTER)
    assert machine.state() == "up"
    machine.wifi("remove")
    world.run("ip", "addr", "flush", "dev", "guest0", where="guest")
    world.until(lambda: tables(machine) == "")
    assert "arthexis" not in connections(machine)


def test_apply_waits_for_a_person_who_says_that_it_may_stay(away: Any) -> None:
    done = away.wifi("apply", "--confirm-within", "40")
    assert "arthexis wifi confirm" in done.stdout
    assert away.wifi("confirm").returncode == 0
    assert away.state() == "up"


def test_what_cannot_be_applied_says_why_and_touches_nothing(machine: Any, away: Any) -> None:
    machine.start(ROUTER.replace('"lan0"', '"up0"').replace("10.42.8.1", "198.51.100.9"))
    told = machine.wifi("plan", check=False)
    assert told.returncode == 5
    assert "problem (uplink-same): up0 is also the uplink" in told.stdout
    assert "problem (network-taken)" not in told.stdout, "its own device's network is replaced"
    refused = machine.wifi("apply", "--yes", check=False)
    assert refused.returncode == 5
    assert "Bring the internet by another cable" in refused.stderr
    assert "uplink:up0" in connections(machine)


def test_a_portal_with_a_certificate_is_what_devices_are_told_of(machine: Any, away: Any, tmp_path: Any) -> None:
    away.signal(signal.SIGTERM)
    world, name = machine.world, "wifi.example.org"
    key, chain = tmp_path / "key.pem", tmp_path / "chain.pem"
    made = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    named = ("-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}")
    world.run("openssl", *made, *named, "-keyout", str(key), "-out", str(chain))
    config = f'portal_name = "{name}"\nportal_certificate = "{chain}"\nportal_key = "{key}"\n'
    machine.start(away.home.joinpath("arthexis.toml").read_text("utf-8") + config)
    try:
        applied(machine, 60)
        machine.api("POST", "/wifi/confirm")
        option = world.lease("guest")[3]
        assert bytes.fromhex(option).decode() == f"https://{name}:8443/captive-portal"
        asked = world.run("busybox", "nslookup", name, "10.42.7.1", where="guest", check=False).stdout
        assert "10.42.7.1" in asked.partition(name)[2]
        assert f"Location: https://{name}:8443/" in world.get(FAR, "guest", "-i")
        trusting = ("--cacert", str(chain), "--resolve", f"{name}:8443:10.42.7.1")
        assert '"captive":true' in world.get(f"https://{name}:8443/captive-portal", "guest", *trusting)
        page = world.get(f"https://{name}:8443/", "guest", *trusting)
        token = page.partition('name="token" value="')[2].partition('"')[0]
        sent = ("-H", f"Origin: https://{name}:8443", "-d", f"token={token}")
        world.get(f"https://{name}:8443/consent", "guest", *trusting, *sent)
        assert HELLO in world.get(FAR, "guest")
    finally:
        machine.api("DELETE", "/wifi")
        machine.signal(signal.SIGTERM)
        away.start(away.home.joinpath("arthexis.toml").read_text("utf-8"))
