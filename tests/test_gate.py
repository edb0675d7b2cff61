"""The gate from outside: identities, subprotocols, keys, and what somebody who guesses learns (nothing)."""

from __future__ import annotations

import asyncio
import base64
import logging
import statistics
import time
from typing import Any

import pytest
from aiohttp import WSServerHandshakeError

from arthexis.testing import Node, wire

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*")
closed = pytest.mark.node(open_mode=False)
BINARY = bytes.fromhex("3a00ff0a3a80c3280d7f3b5c22e2fe01aa55f1c9")
QUERY = ("cid", "chargePointId", "charge_point_id", "chargeBoxId", "charge_box_id", "chargerId")


def port_of(host: Node) -> int:
    return host.host.bound_port


async def identities(host: Node) -> dict[str, bool]:
    """The stations there are, and whether each is connected."""
    return {row["identity"]: row["connected"] for row in await host.ask("stations.list")}


# ---------------------------------------------------------------------- identity


PATHS = [
    "/ocpp/Box-One",
    "/Box-One",
    "/steve/websocket/CentralSystemService/Box-One",
    "//Box-One",
    "/ocpp//Box-One//",
    "/ocpp/Box-One/",
    "/ocpp/bOX-oNE",
    "/ocpp/%42ox%2DOne",
    "/ocpp/Box-One?token=a/b",
    "/ocpp/ocpp/Box-One",
    *(f"/ocpp?{name}=Box-One" for name in QUERY),
    "/?other=1&cid=box%2Done",
    "/ocpp/?cid=Box-One",
    "/ocpp/Box-One?cid=",
]


async def test_a_url_names_the_station_as_the_operator_wrote_it(host: Node, upgrade: Any) -> None:
    await host.ask("stations.add", station="Box-One", no_key=True)
    for path in PATHS:
        assert (await upgrade(port_of(host), path, "Sec-WebSocket-Protocol: ocpp1.6")).status == 101
        assert await identities(host) == {"Box-One": True}


async def test_an_identity_is_decoded_exactly_once(host: Node, upgrade: Any) -> None:
    await upgrade(port_of(host), "/ocpp/RDAM%20123")
    await upgrade(port_of(host), "/ocpp/RDAM%2520123")
    assert set(await identities(host)) == {"RDAM 123", "RDAM%20123"}


@pytest.mark.parametrize("path", ["/", "/ocpp", "/ocpp/", "//", "/ocpp?foo=bar", "/?cid="])
async def test_a_url_without_an_identity_is_404_and_says_what_is_missing(host: Node, upgrade: Any, path: str) -> None:
    answer = await upgrade(port_of(host), path)
    assert answer.status == 404
    assert b"/ocpp/<identity>" in answer.body


NO_IDENTITIES = [
    "a%2Fb",
    "a%5Cb",
    "a%3Ab",
    ".",
    "..",
    "%2e%2e",
    "x" * 49,
    "%00",
    "a%0D%0Ab",
    "%FF",
    "%C3%BC",
    "%20a",
    "a%20",
    "a%1B[2J",
]


async def test_what_cannot_be_an_identity_is_400_and_leaves_nothing_behind(host: Node, upgrade: Any) -> None:
    for last in NO_IDENTITIES:
        assert (await upgrade(port_of(host), f"/ocpp/{last}")).status == 400
        assert await identities(host) == {}
        assert await host.ask("stations.pending") == []


# ---------------------------------------------------------------------- subprotocol


OFFERS = [
    (["ocpp1.6"], "ocpp1.6"),
    (["OCPP1.6"], "OCPP1.6"),
    (["ocpp2.0.1, ocpp1.6"], "ocpp1.6"),
    (["ocpp0.1,ocpp1.6"], "ocpp1.6"),
    (["ocpp2.0.1", "ocpp1.6"], "ocpp1.6"),
    (["ocpp2.0.1", " , Ocpp1.6 ,foo"], "Ocpp1.6"),
]


async def test_the_subprotocol_is_found_in_all_lines_and_any_case(host: Node, upgrade: Any) -> None:
    for lines, agreed in OFFERS:
        answer = await upgrade(port_of(host), "/ocpp/CP-1", *(f"Sec-WebSocket-Protocol: {line}" for line in lines))
        assert (answer.status, answer.header("sec-websocket-protocol")) == (101, agreed)


async def test_a_foreign_subprotocol_ends_the_handshake_without_a_header_and_closes(host: Node, upgrade: Any) -> None:
    answer = await upgrade(port_of(host), "/ocpp/CP-1", "Sec-WebSocket-Protocol: ocpp0.1, ocpp2.1")
    assert (answer.status, answer.header("sec-websocket-protocol")) == (101, None)
    assert await answer.close_code() == 1008
    assert host.host.links == {}


async def test_a_station_that_offers_none_speaks_1_6(host: Node) -> None:
    async with wire(host.station_url("CP-1"), protocols=()) as cp:
        assert cp.protocol is None
        assert (await cp.boot())["status"] == "Accepted"


@pytest.mark.node(strict=True)
async def test_a_strict_node_closes_on_a_station_that_offers_none(host: Node, upgrade: Any) -> None:
    answer = await upgrade(port_of(host), "/ocpp/CP-1")
    assert (answer.status, await answer.close_code()) == (101, 1008)


async def test_a_station_that_is_strict_by_itself_must_offer_one(host: Node, upgrade: Any) -> None:
    await host.ask("stations.add", station="CP-1", no_key=True)
    await host.ask("stations.set", station="CP-1", mode="strict")
    assert await (await upgrade(port_of(host), "/ocpp/CP-1")).close_code() == 1008


@pytest.mark.parametrize("header", ["Connection: keep-alive, Upgrade", "Upgrade: WebSocket", "connection: UPGRADE"])
async def test_tiny_clients_spell_the_handshake_in_their_own_way(host: Node, upgrade: Any, header: str) -> None:
    assert (await upgrade(port_of(host), "/ocpp/CP-1", header)).status == 101


@pytest.mark.parametrize(
    "header",
    ["Sec-WebSocket-Key:", "Sec-WebSocket-Key: short", "Sec-WebSocket-Version:", "Sec-WebSocket-Version: 99"],
)
async def test_half_a_handshake_is_400_and_takes_no_place(host: Node, upgrade: Any, header: str) -> None:
    assert (await upgrade(port_of(host), "/ocpp/CP-1", header)).status == 400
    assert host.host.links == {}
    assert await identities(host) == {}


async def test_a_station_whose_connection_header_is_missing_is_let_in(host: Node, upgrade: Any) -> None:
    answer = await upgrade(port_of(host), "/ocpp/CP-1", "Connection:", "Sec-WebSocket-Protocol: ocpp1.6")
    assert answer.status == 101
    frame = b'[2,"1","Heartbeat",{}]'
    answer.writer.write(bytes((0x81, 0x80 | len(frame))) + b"\0\0\0\0" + frame)
    assert b'[3,"1",' in await asyncio.wait_for(answer.reader.read(200), 5)


@closed
async def test_an_origin_header_of_a_station_means_nothing_on_a_closed_node(host: Node) -> None:
    key = (await host.ask("stations.add", station="CP-1"))["key"]
    async with wire(host.station_url("CP-1"), key=key, headers={"Origin": "http://evse.example"}) as cp:
        assert (await cp.boot())["status"] == "Accepted"


# ---------------------------------------------------------------------- keys


@closed
@pytest.mark.parametrize("form", ["key", "key_hex", "upper"])
async def test_a_key_is_right_as_text_and_as_hex_digits(host: Node, form: str) -> None:
    added = await host.ask("stations.add", station="CP-1")
    key = added["key_hex"].upper() if form == "upper" else added[form]
    async with wire(host.station_url("CP-1"), key=key) as cp:
        assert (await cp.boot())["status"] == "Accepted"


@closed
@pytest.mark.parametrize("length", [16, 20])
async def test_a_binary_key_with_colons_and_broken_utf8_is_right_as_bytes_and_as_hex(host: Node, length: int) -> None:
    key = BINARY[:length]
    added = await host.ask("stations.add", station="CP-1", key=key.hex())
    assert (added["key"], added["key_hex"]) == (None, key.hex())
    for form in (key, key.hex()):
        async with wire(host.station_url("CP-1"), key=form) as cp:
            assert (await cp.boot())["status"] == "Accepted"


POOR_KEYS = ["00" * 20, "11" * 16, "6162" * 10, "ab" * 15, "ab" * 21, "zz" * 20, "", "hunter2"]


@closed
async def test_a_key_that_a_person_would_choose_is_refused(host: Node) -> None:
    from arthexis.errors import DomainError

    for key in POOR_KEYS:
        with pytest.raises(DomainError, match="random"):
            await host.ask("stations.add", station="CP-1", key=key)
        assert await identities(host) == {}


@closed
async def test_the_user_name_may_differ_in_case_and_in_nothing_else(host: Node, upgrade: Any, basic: Any) -> None:
    key = (await host.ask("stations.add", station="Box-One"))["key"]
    await host.ask("stations.add", station="Other")
    assert (await upgrade(port_of(host), "/ocpp/Box-One", basic("BOX-one", key))).status == 101
    for user in ("Other", "", "Box-Two", "Box-On\u0435"):  # the last ends in a Cyrillic letter
        assert (await upgrade(port_of(host), "/ocpp/Box-One", basic(user, key))).status == 401


MALFORMED = [
    "Basic",
    "Basic ",
    "Basic !!!!",
    "Basic Q1AtMQ==",
    "Basic Q1AtMTp4eA",
    "Bearer x",
    "Basic Ã¼",
    "Digest a=b",
]


@closed
async def test_a_malformed_login_is_a_refusal_like_any_other(host: Node, upgrade: Any) -> None:
    await host.ask("stations.add", station="CP-1")
    for value in MALFORMED:
        assert (await upgrade(port_of(host), "/ocpp/CP-1", f"Authorization: {value}")).status == 401


@closed
async def test_a_new_key_ends_the_old_one_at_the_next_connection(host: Node, upgrade: Any, basic: Any) -> None:
    old = (await host.ask("stations.add", station="CP-1"))["key"]
    async with wire(host.station_url("CP-1"), key=old) as cp:
        new = (await host.ask("stations.key", station="cp-1"))["key"]
        assert (await cp.boot())["status"] == "Accepted"
    assert (await upgrade(port_of(host), "/ocpp/CP-1", basic("CP-1", old))).status == 401
    async with wire(host.station_url("CP-1"), key=new) as cp:
        assert (await cp.boot())["status"] == "Accepted"


@closed
async def test_a_plain_station_connects_with_and_without_a_login(host: Node) -> None:
    await host.ask("stations.add", station="CP-1", no_key=True)
    for key in (None, "whatever"):
        async with wire(host.station_url("CP-1"), key=key) as cp:
            assert (await cp.boot())["status"] == "Accepted"


@closed
async def test_a_key_is_in_no_file_and_in_no_log(host: Node, upgrade: Any, basic: Any, caplog: Any) -> None:
    caplog.set_level(logging.DEBUG)
    added = await host.ask("stations.add", station="CP-1")
    async with wire(host.station_url("CP-1"), key=added["key"]) as cp:
        await cp.boot()
    assert (await upgrade(port_of(host), "/ocpp/CP-1", basic("Nobody", added["key"]))).status == 401
    assert (await upgrade(port_of(host), "/ocpp/Nobody", basic("Nobody", added["key"]))).status == 401
    await host.settle()
    shown = repr([await host.ask(name) for name in ("stations.list", "stations.pending", "messages.list")])
    login = base64.b64encode(f"CP-1:{added['key']}".encode()).decode()
    canaries = [added["key"], added["key_hex"], login]
    files = {path: path.read_bytes() for path in host.host.home.rglob("*") if path.is_file()}
    assert len(files) > 3
    for canary in canaries:
        assert canary not in caplog.text
        assert canary not in shown
        assert not [path.name for path, held in files.items() if canary.encode() in held]


# ---------------------------------------------------------------------- refusals


@closed
async def test_nobody_learns_from_a_refusal_which_stations_there_are(host: Node, upgrade: Any, basic: Any) -> None:
    await host.ask("stations.add", station="Known")
    asked = [
        ("/ocpp/Known", [basic("Known", "wrong")]),
        ("/ocpp/Known", []),
        ("/ocpp/Stranger", [basic("Stranger", "wrong")]),
        ("/ocpp/Stranger", []),
        ("/ocpp/Known", [basic("Stranger", "wrong")]),
    ]
    said = []
    for path, lines in asked:
        answer = await upgrade(port_of(host), path, *lines)
        said.append((answer.status, [h for h in answer.headers if h[0] != "date"], answer.body))
    assert said[0][0] == 401
    assert said == [said[0]] * len(said)


@pytest.mark.node(open_mode=False, config={"stations": {"failed_logins_per_minute": 100_000}})
async def test_a_refusal_takes_as_long_for_a_stranger_as_for_a_station(host: Node, upgrade: Any, basic: Any) -> None:
    await host.ask("stations.add", station="Known")
    took: dict[str, list[float]] = {"Known": [], "Stranger": []}
    for _ in range(40):
        for name, times in took.items():
            began = time.perf_counter()
            assert (await upgrade(port_of(host), f"/ocpp/{name}", basic(name, "wrong"))).status == 401
            times.append(time.perf_counter() - began)
    known, stranger = (statistics.median(times) for times in took.values())
    assert abs(known - stranger) < 0.5 * min(known, stranger) + 0.002


@closed
async def test_a_refused_station_is_once_in_the_inbox_with_the_reason_and_nowhere_else(
    host: Node, upgrade: Any, basic: Any
) -> None:
    await host.ask("stations.add", station="Known")
    for path, lines in [
        ("/ocpp/Stranger", []),
        ("/ocpp/STRANGER", [basic("Stranger", "x")]),
        ("/ocpp/Known", []),
        ("/ocpp/Known", [basic("Known", "x")]),
    ]:
        await upgrade(port_of(host), path, *lines)
    await host.settle()
    inbox = {row["identity"]: (row["reason"], row["tries"]) for row in await host.ask("stations.pending")}
    assert inbox == {"Stranger": ("unknown station", 2), "Known": ("wrong key", 2)}
    assert await identities(host) == {"Known": False}


@closed
async def test_the_inbox_keeps_the_latest_500(host: Node) -> None:
    from arthexis.charging import stations

    for number in range(520):
        at = host.host.clock.now()
        host.host.journal.note(lambda db, n=number, at=at: stations.refuse(db, f"S{n}", "::1", "unknown station", at))
        await asyncio.sleep(0)
    await host.settle()
    kept = {row["identity"] for row in await host.ask("stations.pending")}
    assert len(kept) == 500
    assert "S519" in kept
    assert "S0" not in kept


# ---------------------------------------------------------------------- guessing

PROXY = {"trusted_proxies": ["127.0.0.1"]}
behind_proxy = pytest.mark.node(open_mode=False, config={"http": PROXY})
impatient = pytest.mark.node(open_mode=False, config={"http": PROXY, "stations": {"failed_logins_per_minute": 1}})


class Guesser:
    """Somebody at an address of choice, seen through a trusted proxy."""

    def __init__(self, host: Node, upgrade: Any, basic: Any) -> None:
        self.host, self.upgrade, self.basic = host, upgrade, basic

    async def tries(self, address: str, station: str, key: str, count: int = 1) -> list[int]:
        lines = (self.basic(station, key), f"X-Forwarded-For: {address}")
        return [(await self.upgrade(port_of(self.host), f"/ocpp/{station}", *lines)).status for _ in range(count)]


@pytest.fixture
def guesser(host: Node, upgrade: Any, basic: Any) -> Guesser:
    return Guesser(host, upgrade, basic)


@behind_proxy
async def test_after_ten_wrong_keys_not_even_the_right_one_is_looked_at(host: Node, guesser: Guesser) -> None:
    key = (await host.ask("stations.add", station="CP-1"))["key"]
    assert set(await guesser.tries("10.0.0.1", "CP-1", "wrong", 15)) == {401}
    assert await guesser.tries("10.0.0.1", "CP-1", key) == [401]
    await host.settle()
    assert [row["reason"] for row in await host.ask("stations.pending")] == ["too many failed logins"]


@behind_proxy
async def test_a_guesser_does_not_lock_the_station_out_elsewhere(host: Node, guesser: Guesser) -> None:
    key = (await host.ask("stations.add", station="CP-1"))["key"]
    await guesser.tries("10.0.0.1", "CP-1", "wrong", 60)
    assert await guesser.tries("10.0.0.2", "CP-1", key) == [101]


@behind_proxy
async def test_a_station_with_a_wrong_key_does_not_lock_out_its_site(host: Node, guesser: Guesser) -> None:
    keys = {name: (await host.ask("stations.add", station=name))["key"] for name in ("Bad", "A", "B")}
    await guesser.tries("10.0.0.1", "Bad", "wrong", 60)
    for name in ("A", "B"):
        assert await guesser.tries("10.0.0.1", name, keys[name]) == [101]


@impatient
async def test_a_station_guessed_from_many_addresses_is_limited_and_still_comes_in_from_home(
    host: Node, guesser: Guesser
) -> None:
    key = (await host.ask("stations.add", station="CP-1"))["key"]
    assert await guesser.tries("10.0.0.1", "CP-1", key) == [101]
    for number in range(15):
        await guesser.tries(f"10.1.0.{number}", "CP-1", "wrong")
    assert await guesser.tries("10.2.0.1", "CP-1", key) == [401]
    assert await guesser.tries("10.0.0.1", "CP-1", key) == [101]


@impatient
async def test_an_address_that_tries_many_stations_is_limited(host: Node, guesser: Guesser) -> None:
    key = (await host.ask("stations.add", station="CP-1"))["key"]
    for number in range(15):
        await guesser.tries("10.0.0.1", f"S{number}", "wrong")
    assert await guesser.tries("10.0.0.1", "CP-1", key) == [401]
    assert await guesser.tries("10.0.0.2", "CP-1", key) == [101]


@behind_proxy
async def test_one_customer_of_an_ipv6_network_is_one_address(host: Node, guesser: Guesser) -> None:
    key = (await host.ask("stations.add", station="CP-1"))["key"]
    for number in range(15):
        await guesser.tries(f"2001:db8::{number:x}", "CP-1", "wrong")
    assert await guesser.tries("2001:db8::ffff", "CP-1", key) == [401]
    assert await guesser.tries("2001:db8:0:1::1", "CP-1", key) == [101]


@pytest.mark.node(config={"stations": {"failed_logins_per_minute": 1}})
async def test_an_open_node_counts_no_login_of_an_unknown_station_as_failed(host: Node) -> None:
    for number in range(15):
        async with wire(host.station_url(f"CP-{number}"), key="left over from elsewhere") as cp:
            assert (await cp.boot())["status"] == "Accepted"


def test_what_is_remembered_of_guessers_is_bounded() -> None:
    from arthexis.ocppj.attempts import MOST_KEPT, Attempts, Swaps

    attempts, swaps = Attempts(10), Swaps()
    for number in range(3 * MOST_KEPT):
        attempts.failed(f"10.0.{number}", f"S{number}", float(number))
        attempts.succeeded(f"10.0.{number}", f"G{number}")
        swaps.flap(f"S{number}", float(number))
    held = [attempts._pairs._spent, attempts._networks._spent, attempts._stations._spent, swaps._counts]
    assert {len(kept) for kept in held} == {MOST_KEPT}
    assert len(attempts._good) == 2 * MOST_KEPT


# ---------------------------------------------------------------------- waiting for approval


@pytest.mark.node(open_mode=False, admit_pending_minutes=10)
async def test_a_pending_station_is_approved_on_the_spot(host: Node, clock: Any) -> None:
    async with wire(host.station_url("New-1")) as cp:
        assert (await cp.boot(vendor="Acme", model="Two"))["status"] == "Pending"
        for action in ("Heartbeat", "Authorize", "StartTransaction"):
            assert await cp.error(action) == "SecurityError"
        waiting = (await host.ask("stations.pending"))[0]
        assert (waiting["identity"], waiting["reason"]) == ("New-1", "waits for approval")
        assert waiting["boot"]["model"] == "Two"
        assert await identities(host) == {}
        key = (await host.ask("stations.approve", station="new-1"))["key"]
        assert (await cp.boot())["status"] == "Accepted"
        assert "currentTime" in await cp.result("Heartbeat")
    assert await host.ask("stations.pending") == []
    async with wire(host.station_url("New-1"), key=key) as cp:
        assert (await cp.boot())["status"] == "Accepted"


@pytest.mark.node(open_mode=False, admit_pending_minutes=10)
async def test_an_approved_station_without_its_key_is_told_in_the_inbox_what_is_missing(
    host: Node, upgrade: Any
) -> None:
    async with wire(host.station_url("New-1")) as cp:
        await cp.boot()
        await host.ask("stations.approve", station="New-1")
    assert (await upgrade(port_of(host), "/ocpp/New-1")).status == 401
    await host.settle()
    assert [row["reason"] for row in await host.ask("stations.pending")] == ["no key presented"]


@pytest.mark.node(open_mode=False, admit_pending_minutes=10)
async def test_a_station_approved_without_a_key_comes_back_without_one(host: Node) -> None:
    async with wire(host.station_url("New-1")) as cp:
        await cp.boot()
        assert (await host.ask("stations.approve", station="New-1", no_key=True))["key"] is None
    async with wire(host.station_url("New-1")) as cp:
        assert (await cp.boot())["status"] == "Accepted"


@pytest.mark.node(open_mode=False, admit_pending_minutes=10)
async def test_after_the_window_unknown_stations_are_refused_again(host: Node, clock: Any, upgrade: Any) -> None:
    assert (await upgrade(port_of(host), "/ocpp/New-1", "Sec-WebSocket-Protocol: ocpp1.6")).status == 101
    clock.advance(601)
    assert (await upgrade(port_of(host), "/ocpp/New-2")).status == 401


@pytest.mark.node(open_mode=False, admit_pending_minutes=10)
async def test_a_known_station_still_needs_its_key_while_others_may_wait(host: Node, upgrade: Any) -> None:
    await host.ask("stations.add", station="Known")
    assert (await upgrade(port_of(host), "/ocpp/Known")).status == 401


@pytest.mark.node(open_mode=False, admit_pending_minutes=10, strict=True)
async def test_a_waiting_station_of_a_strict_node_is_strict(host: Node) -> None:
    async with wire(host.station_url("New-1")) as cp:
        assert await cp.error("BootNotification", {"chargePointVendor": "Acme"}) == "OccurenceConstraintViolation"


@pytest.mark.node(open_mode=False, admit_pending_minutes=10)
async def test_so_many_may_wait_at_once_and_stations_still_find_room(host: Node, upgrade: Any, basic: Any) -> None:
    key = (await host.ask("stations.add", station="Known"))["key"]
    said = [(await upgrade(port_of(host), f"/ocpp/N{n}", "Sec-WebSocket-Protocol: ocpp1.6")).status for n in range(105)]
    assert (said.count(101), said.count(401)) == (100, 5)
    assert (await upgrade(port_of(host), "/ocpp/Known", basic("Known", key))).status == 101


@closed
async def test_a_rejected_station_is_told_so_and_nothing_of_it_is_handled(host: Node) -> None:
    key = (await host.ask("stations.add", station="CP-1"))["key"]
    async with wire(host.station_url("CP-1"), key=key) as cp:
        await host.ask("stations.reject", station="CP-1")
        assert (await cp.boot())["status"] == "Rejected"
        assert await cp.error("Heartbeat") == "SecurityError"
        await host.ask("stations.approve", station="CP-1")
        assert (await cp.boot())["status"] == "Accepted"


# ---------------------------------------------------------------------- plugins decide

DENIES = """
from arthexis import Admission, hookimpl

@hookimpl
async def decide_connection(request):
    return Admission(request.station_id != "Unwanted", "not today")
"""


@pytest.mark.parametrize("open_mode", [True, False])
async def test_a_station_that_a_plugin_refuses_leaves_no_row(
    installed: Any, tmp_path: Any, upgrade: Any, open_mode: bool
) -> None:
    from arthexis.testing import node

    plugins = ["arthexis-ocpp16:*", installed(DENIES).pattern]
    async with node(tmp_path / "node", plugins=plugins, open_mode=open_mode, admit_pending_minutes=5) as host:
        with pytest.raises(WSServerHandshakeError) as refused:
            async with wire(host.station_url("Unwanted")):
                pass
        assert refused.value.status == 401
        async with wire(host.station_url("Welcome")) as cp:
            assert (await cp.boot())["status"] in {"Accepted", "Pending"}
        await host.settle()
        assert "Unwanted" not in await identities(host)
        reasons = {row["identity"]: row["reason"] for row in await host.ask("stations.pending")}
        assert reasons["Unwanted"] == "not today"


@pytest.mark.node(open_mode=False)
async def test_two_who_approve_a_station_at_once_are_shown_the_one_key_that_counts(host: Node) -> None:
    with pytest.raises(WSServerHandshakeError):
        async with wire(host.station_url("New-1")):
            pass
    shown = await asyncio.gather(*(host.ask("stations.approve", station="New-1") for _ in range(2)))
    [key] = [told["key"] for told in shown if told["key"] is not None]
    assert sorted(told["kept_key"] for told in shown) == [False, True]
    async with wire(host.station_url("New-1"), key=key) as cp:
        assert (await cp.boot())["status"] == "Accepted"


async def test_approving_a_station_that_charges_does_not_silence_it(host: Node) -> None:
    async with wire(host.station_url("CP-1"), protocols=["ocpp1.6"]) as cp:
        await cp.boot()
        await host.ask("stations.set", station="CP-1", mode="strict")
        await host.ask("stations.approve", station="CP-1")
        assert "currentTime" in await cp.result("Heartbeat")
