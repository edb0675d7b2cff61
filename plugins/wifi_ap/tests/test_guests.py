"""Guests of a real NetworkManager: from DHCP by the portal to the far side, and out again when their time is over."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

FAR = "http://203.0.113.80/"
HELLO = "hello from the far side"
PORTAL = "http://10.42.7.1:8088/"
PROBES = {
    "Android": "connectivitycheck.gstatic.com/generate_204",
    "Apple": "captive.apple.com/hotspot-detect.html",
    "Windows": "www.msftconnecttest.com/connecttest.txt",
    "Firefox": "detectportal.firefox.com/canonical.html",
}


def reaches(up: Any, where: str = "guest") -> bool:
    return HELLO in up.world.get(FAR, where)


def admitted(up: Any, where: str = "guest") -> None:
    """Consent until that is taken: who was revoked by an earlier test stays out for the rest of its time."""
    up.world.until(lambda: up.consent(where).endswith("303"), 10.0)


def test_the_way_of_a_guest_from_plan_to_nothing(cafe: Any, away: Any) -> None:
    world = cafe.world
    plan = cafe.told("plan")
    assert plan["problems"] == []
    assert plan["uplink"] == "up0"
    assert cafe.state() == "absent", "a plan changes nothing"
    assert cafe.told("apply", "--yes")["state"] == "up"
    address, router, dns, option = world.lease("guest")
    assert bytes.fromhex(option).decode() == f"{PORTAL}captive-portal"
    assert router == dns == "10.42.7.1"
    asked = world.run("busybox", "nslookup", "far.example", "10.42.7.1", where="guest", check=False).stdout
    assert "203.0.113.80" in asked, "names are answered before consent, or no browser would find the portal"
    assert not reaches(cafe)
    assert cafe.consent("guest").endswith("303")
    assert reaches(cafe)
    client = next(c for c in cafe.told("clients") if c["mac"] == world.mac("guest"))
    assert (client["address"], client["admitted"]) == (address, True)
    world.until(lambda: cafe.told("revoke", world.mac("guest"))["revoked"] or not cafe.consent("guest"))
    assert not reaches(cafe), "revoking works at once"
    assert cafe.told("remove")["state"] == "absent"
    _nothing_is_left(cafe)


def _nothing_is_left(cafe: Any) -> None:
    world = cafe.world
    world.until(lambda: world.run("nft", "list", "tables").stdout == "")
    assert "arthexis" not in world.run("nmcli", "-t", "connection").stdout
    world.until(lambda: "lan0" not in world.run("ps", "-eo", "args").stdout)
    assert world.run("ls", "-A", "/etc/NetworkManager/dnsmasq-shared.d").stdout == ""
    assert ":8088" not in world.run("ss", "-tln").stdout
    assert "10.42.7" not in world.run("ip", "addr").stdout


@pytest.mark.parametrize("system", PROBES)
def test_a_system_s_own_probe_is_sent_to_the_portal(up: Any, system: str) -> None:
    name, _, path = PROBES[system].partition("/")
    found = up.world.get(f"{FAR}{path}", "guest", "-i", "-H", f"Host: {name}")
    assert found.startswith("HTTP/1.1 302 ")
    assert f"Location: {PORTAL}\r\n" in found or f"Location: {PORTAL}\n" in found
    assert "no-store" in found


def test_what_is_not_the_web_is_refused_quickly(up: Any) -> None:
    began = time.monotonic()
    assert up.world.get("https://203.0.113.80/", "guest").startswith("failed 7")
    assert "Packet filtered" in up.world.run("ping", "-c1", "-W2", "203.0.113.80", where="guest", check=False).stdout
    assert time.monotonic() - began < 4


def test_the_api_for_devices_says_who_is_captive(up: Any) -> None:
    def asked() -> Any:
        return json.loads(up.world.get(f"{PORTAL}captive-portal", "guest"))

    assert asked() == {"captive": True, "user-portal-url": PORTAL}
    assert "Content-Type: application/captive+json" in up.world.get(f"{PORTAL}captive-portal", "guest", "-i")
    admitted(up)
    found = asked()
    assert found["captive"] is False
    assert 0 < found["seconds-remaining"] <= 6


def test_a_guest_is_cut_off_when_its_time_is_over_and_may_consent_again(up: Any) -> None:
    admitted(up)
    assert reaches(up)
    assert not reaches(up, "other"), "one guest's consent opens nothing for another"
    up.world.until(lambda: not reaches(up), 10.0)
    assert up.world.get(FAR, "guest", "-i").startswith("HTTP/1.1 302 ")
    assert up.consent().endswith("303")
    assert reaches(up)


def test_a_revoked_guest_stays_out_for_the_rest_of_its_time_and_a_guest_who_leaves_does_not(up: Any) -> None:
    admitted(up, "other")
    up.api("DELETE", f"/wifi/clients/{up.world.mac('other')}")
    barred = up.consent("other")
    assert barred.endswith("403")
    assert "operator" in barred
    assert not reaches(up, "other")
    up.consent("guest")
    token = re.findall('value="([^"]+)"', up.world.get(PORTAL, "guest"))[0]
    up.world.get(f"{PORTAL}leave", "guest", "-d", f"token={token}")
    assert not reaches(up)
    assert up.consent("guest").endswith("303")
    up.world.until(lambda: up.consent("other").endswith("303"), 10.0)


@pytest.mark.parametrize("inside", [False, True], ids=["before consent", "after consent"])
def test_guests_reach_nothing_of_the_node_but_dhcp_dns_and_portal(up: Any, inside: bool) -> None:
    if inside:
        admitted(up)
    for address in ("10.42.7.1", "198.51.100.2"):
        assert up.world.get(f"http://{address}:8899/", "guest").startswith("failed 7"), "the node's own port"
    assert up.world.get("http://192.168.77.1/", "guest", "-i").startswith("failed 7" if inside else "HTTP/1.1 302")
    assert up.world.get("http://198.51.100.1:8899/", "guest").startswith("failed 7")
    link_local = up.world.run("ip", "-j", "-6", "addr", "show", "lan0").stdout
    for address in re.findall(r'"local":"(fe80[^"]+)"', link_local):
        assert up.world.get(f"http://[{address}%guest0]:8899/", "guest").startswith("failed 7")


FORGED = {
    "no token": ("-d", "x=1"),
    "junk": ("-d", "token=1.2.3"),
    "huge": ("-d", "token=" + "1" * 5000),
    "a form of another kind": ("-F", "token=1"),
    "JSON": ("-H", "Content-Type: application/json", "-d", '{"token": "1"}'),
    "no number": ("-d", "token=%ED%A0%80.%FF.x"),
}


@pytest.mark.parametrize("kind", FORGED)
def test_a_forged_consent_opens_nothing(up: Any, kind: str) -> None:
    answer = up.world.get(f"{PORTAL}consent", "guest", "-w", "%{http_code}", *FORGED[kind])
    assert answer[-3:] in {"400", "413"}
    assert not reaches(up)


@pytest.mark.parametrize("header", ["Origin: http://evil.example", "Sec-Fetch-Site: cross-site"])
def test_a_page_of_others_cannot_consent_for_a_guest(up: Any, header: str) -> None:
    assert up.consent("guest", "-H", header).endswith("400")
    assert not reaches(up)


def test_a_token_is_good_for_the_device_that_it_was_shown_to(up: Any) -> None:
    token = re.findall('value="([^"]+)"', up.world.get(PORTAL, "other"))[0]
    told = ("-H", f"X-Forwarded-For: {up.world.addresses('other')[0]}", "-H", "X-Real-IP: 10.42.7.2")
    assert up.world.get(f"{PORTAL}consent", "guest", "-w", "%{http_code}", "-d", f"token={token}", *told).endswith(
        "400"
    )
    assert not reaches(up)
    assert not reaches(up, "other")


@pytest.mark.parametrize("host", ["evil.example", "10.42.7.1:8899", '"><script>', "10.42.7.1:8088@evil.example"])
def test_a_host_header_leads_nowhere_but_to_the_portal(up: Any, host: str) -> None:
    found = up.world.get(PORTAL, "guest", "-i", "-H", f"Host: {host}")
    assert "script" not in found.partition("\n\n")[0]
    assert "evil" not in found
    assert found.startswith(("HTTP/1.1 302 ", "HTTP/1.1 400 "))


def test_the_page_asks_nobody_else_for_anything_and_speaks_both_languages(up: Any) -> None:
    english = up.world.get(PORTAL, "guest", "-H", "Accept-Language: en-GB,en;q=0.8")
    spanish = up.world.get(PORTAL, "guest", "-H", "Accept-Language: es-MX,es;q=0.9,en;q=0.8")
    assert '<html lang="en">' in english
    assert '<html lang="es">' in spanish
    assert "Acepto" in spanish
    assert '<html lang="es">' in up.world.get(f"{PORTAL}?lang=es", "guest", "-H", "Accept-Language: en")
    assert not re.search(r"(src|href)=\"(https?:|//)|url\(|<script|@import", english + spanish)
    assert "default-src 'none'" in up.world.get(PORTAL, "guest", "-i")


def test_one_guest_cannot_hold_the_portal_for_itself(up: Any) -> None:
    held = "exec 3<>/dev/tcp/10.42.7.1/8088; sleep 3"
    hog = up.world.spawn(
        *("ip", "netns", "exec", "guest", "bash", "-c", f"for i in $(seq 40); do ({held}) & done; wait"), log="hog.log"
    )
    time.sleep(1)
    connections = up.world.run("ss", "-tnH", "state", "established", "sport", "=", ":8088").stdout.splitlines()
    assert 0 < len(connections) <= 16
    assert up.world.get(PORTAL, "other").startswith("<!doctype html>")
    hog.wait()
    assert up.world.read("/run/hog.log").count("refused") >= 40 - 32, "the kernel counts before the portal must"


def test_consents_are_kept_without_the_address_of_the_device(up: Any) -> None:
    up.consent()
    mac = up.world.mac("guest")
    found = up.api("GET", f"/wifi/consents?mac={mac}")["items"]
    assert found
    assert found[0]["text"].startswith("You use this connection")
    assert found[0]["at"] < found[0]["until"]
    up.world.run("sync")
    database = b"".join(path.read_bytes() for path in up.home.glob("arthexis.db*"))
    assert mac.encode() not in database.lower()
    assert (up.home / "wifi_ap.key").stat().st_mode & 0o777 == 0o600
    assert up.api("GET", "/wifi/consents?mac=02:00:00:00:00:99")["items"] == []
