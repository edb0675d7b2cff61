"""Frames over a real socket: each is answered or ignored, with the codes of OCPP-J 1.6, and none ends the socket."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

import pytest
from aiohttp import WSMsgType
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from arthexis.testing import Node, Wire, node, wire

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*")
strict = pytest.mark.node(strict=True)
START = {"connectorId": 1, "idTag": "TAG", "meterStart": 0, "timestamp": "2026-11-24T10:00:00Z"}
STATUS = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}


@pytest.fixture
async def cp(host: Node) -> Any:
    """A booted station."""
    async with wire(host.station_url("CP-1")) as station:
        await station.boot()
        yield station


async def alive(cp: Wire) -> bool:
    """Whether a Heartbeat is still answered, after whatever else was."""
    await cp.say([2, "alive?", "Heartbeat", {}])
    while True:
        frame = await cp.hear()
        if frame[1] == "alive?":
            return frame[0] == 3


async def answers(cp: Wire, frame: object) -> list[Any]:
    """Everything that the node says to a frame."""
    await cp.say(frame)
    await cp.say([2, "the end", "Heartbeat", {}])
    heard = []
    while True:
        got = await cp.hear()
        if got[1] == "the end":
            return heard
        heard.append(got)


# ---------------------------------------------------------------------- the error table


FAULTS = [
    ("StartTransaction", {**START, "connectorId": "1"}, "TypeConstraintViolation"),
    ("StartTransaction", {k: v for k, v in START.items() if k != "idTag"}, "OccurenceConstraintViolation"),
    ("StartTransaction", {**START, "idTag": "x" * 21}, "PropertyConstraintViolation"),
    ("StartTransaction", {**START, "colour": "red"}, "FormationViolation"),
    ("StatusNotification", {**STATUS, "status": "Occupied"}, "PropertyConstraintViolation"),
    ("StatusNotification", {**STATUS, "connectorId": 1.5}, "TypeConstraintViolation"),
    ("MeterValues", {"connectorId": 1, "meterValue": []}, "OccurenceConstraintViolation"),
    ("Heartbeat", [], "TypeConstraintViolation"),
    ("Heartbeat", "text", "TypeConstraintViolation"),
    ("Boil", {}, "NotImplemented"),
    ("heartbeat", {}, "NotImplemented"),
    ("", {}, "NotImplemented"),
    ("../x", {}, "NotImplemented"),
    ("__class__", {}, "NotImplemented"),
    ("Reset", {"type": "Soft"}, "NotSupported"),
]


@strict
async def test_each_fault_has_the_code_of_the_standard(cp: Wire) -> None:
    for action, payload, code in FAULTS:
        answer = await cp.call(action, payload)
        assert answer[:3] == [4, answer[1], code]
        assert len(answer[3]) <= 255
        assert answer[4] == {}
        assert await alive(cp)


@pytest.mark.plugins("arthexis-ocpp16:ocpp16.protocol")
@pytest.mark.parametrize(("action", "code"), [("Heartbeat", "NotSupported"), ("Boil", "NotImplemented")])
async def test_a_known_action_that_is_off_is_not_supported(tmp_path: Any, action: str, code: str) -> None:
    async with (
        node(tmp_path / "n", plugins=["arthexis-ocpp16:ocpp16.protocol"]) as host,
        wire(host.station_url("CP-1")) as cp,
    ):
        assert await cp.error(action) == code


async def test_a_bare_host_answers_every_call_not_implemented(tmp_path: Any) -> None:
    async with node(tmp_path / "n") as host, wire(host.station_url("CP-1")) as cp:
        for action in ("BootNotification", "Heartbeat", "Boil"):
            assert await cp.error(action) == "NotImplemented"


WRONG_FRAMES = [
    ('[2,"1","Heartbeat"]', "ProtocolError", "1"),
    ('[2,"1"]', "ProtocolError", "1"),
    ('[2,"1","Heartbeat",{},null]', "ProtocolError", "1"),
    ('[2,"1",7,{}]', "ProtocolError", "1"),
    ('[2,17,"Heartbeat",{}]', "ProtocolError", 17),
    (f'[2,"{"i" * 37}","Heartbeat",{{}}]', "ProtocolError", "i" * 37),
    (f'[2,"{"i" * 10_000}","Heartbeat",{{}}]', "ProtocolError", "i" * 255),
    ('[2,"1","Heartbeat",{"a":NaN}]', "FormationViolation", "1"),
    ('[2,"1","Heartbeat",{', "FormationViolation", "1"),
    ('[2,"1","Heartbeat",{}] and more', "FormationViolation", "1"),
    ('[2,"1","Heartbeat",{"a":' + '{"a":' * 5000, "FormationViolation", "1"),
    ('[2,"1","Heartbeat",' + "[" * 40 + "]" * 40 + "]", "TypeConstraintViolation", "1"),
    ('[2,"1","Heartbeat",{"a":1,"a":1}]', "FormationViolation", "1"),
]


@strict
async def test_a_strict_node_names_what_is_wrong_with_a_frame(cp: Wire) -> None:
    for frame, code, message_id in WRONG_FRAMES:
        heard = await answers(cp, frame)
        assert [(kind, wire_id, said) for kind, wire_id, said, *_ in heard] == [(4, message_id, code)]


ODD_FRAMES = [
    ('[2,"1","Heartbeat"]', "1"),
    ('[2,"1","Heartbeat",{},null]', "1"),
    ('[2,"1","Heartbeat",null]', "1"),
    ('[2,17,"Heartbeat",{}]', 17),
    ('[2,-1,"Heartbeat",{}]', -1),
    ('[2,123456789012345678901234567890,"Heartbeat",{}]', 123456789012345678901234567890),
    ('[2,"","Heartbeat",{}]', ""),
    (f'[2,"{"i" * 36}","Heartbeat",{{}}]', "i" * 36),
    (f'[2,"{"i" * 37}","Heartbeat",{{}}]', "i" * 37),
    (f'[2,"{"i" * 255}","Heartbeat",{{}}]', "i" * 255),
    ('[2,"Käfer-充电","Heartbeat",{}]', "Käfer-充电"),
    ('[2,"a\\u0000b","Heartbeat",{}]', "a\0b"),
    ('\ufeff[2,"1","Heartbeat",{}]', "1"),
    ('[2,"1","Heartbeat",{}]\0\0', "1"),
    ('[2,"1","Heartbeat",{}] and more', "1"),
    (' [ 2,\r\n\t"1",\n "Heartbeat",\n {\n }\n]\n', "1"),
    ('[2,"1","Heartbeat",{', "1"),
    ('[2,"1","Heartbeat",{"a":NaN}]', "1"),
    ('[2,"1","Heartbeat",{"a":1e400,"b":' + "9" * 500 + "}]", "1"),
    ('[2,"1","Heartbeat",{"a":"\\ud800"}]', "1"),
    ('[2,"1","Heartbeat",{"a":1,"a":2}]', "1"),
    ('[2,"1","Heartbeat",{"transactionId":,}]', "1"),
    ('[2,"1","Heartbeat",{"deep":' + "[" * 40 + "]" * 40 + "}]", "1"),
]


async def test_repair_mode_answers_what_it_can_make_out(cp: Wire) -> None:
    for frame, message_id in ODD_FRAMES:
        heard = await answers(cp, frame)
        assert [(kind, wire_id) for kind, wire_id, *_ in heard] == [(3, message_id)]


IGNORED = [
        "", " ", "null", "{}", "[]", '"text"', "17", "[2]", "[null]", "true", "hello", "[5,\"1\",\"Heartbeat\",{}]",
        '[1,"1","Heartbeat",{}]', '[2,null,"Heartbeat",{}]', '[2,[],"Heartbeat",{}]',
        '[2,{},"Heartbeat",{}]', '[2,true,"Heartbeat",{}]', '[2,1.5,"Heartbeat",{}]', '[3,"unknown",{}]',
        '[3,"unknown"]',
        '[4,"unknown","InternalError","",{}]', '[4,"unknown"]', "[3]", "[4]", '[2,' + "9" * 5000 + ',"Heartbeat",{}]',
        "[" * 100_000, '[[[2,"1","Heartbeat",{}]]]', "\0\0\0", "\ufeff",
    ]  # fmt: skip


@pytest.mark.parametrize("mode", ["repair", "strict"])
async def test_what_carries_no_id_is_ignored(host: Node, mode: str) -> None:
    await host.ask("stations.add", station="CP-1", no_key=True)
    await host.ask("stations.set", station="CP-1", mode=mode)
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        for frame in IGNORED:
            assert await answers(cp, frame) == [], frame


async def test_a_message_type_as_text_is_read_in_repair_mode_only(host: Node, cp: Wire) -> None:
    assert (await answers(cp, '["2","1","Heartbeat",{}]'))[0][:2] == [3, "1"]
    await host.ask("stations.set", station="CP-1", mode="strict")
    assert await answers(cp, '["2","2","Heartbeat",{}]') == []


async def test_a_megabyte_for_an_action_is_answered_and_not_echoed(host: Node, cp: Wire) -> None:
    heard = await answers(cp, [2, "1", "A" * 1_000_000, {}])
    assert heard[0][:3] == [4, "1", "NotImplemented"]
    assert len(heard[0][3]) <= 255
    await host.settle()
    logged = await host.ask("messages.list", limit=5)
    assert max(len(row["action"]) for row in logged if row["action"]) <= 100


@strict
async def test_what_a_station_said_is_not_echoed_at_length(cp: Wire) -> None:
    answer = await cp.call("StatusNotification", {**STATUS, "x" * 5000: 1})
    assert len(json.dumps(answer)) < 400


# ---------------------------------------------------------------------- what may close a socket


async def test_a_binary_frame_closes_1003(cp: Wire) -> None:
    await cp.socket.send_bytes(b'[2,"1","Heartbeat",{}]')
    assert await cp.close_code() == 1003


@pytest.mark.parametrize("mode", ["repair", "strict"])
async def test_text_that_is_not_utf8_closes_1007(host: Node, mode: str) -> None:
    await host.ask("stations.add", station="CP-1", no_key=True)
    await host.ask("stations.set", station="CP-1", mode=mode)
    async with wire(host.station_url("CP-1")) as cp:
        await cp.say(b'[2,"\xff\xfe","Heartbeat",{}]')
        assert await cp.close_code() == 1007


@pytest.mark.node(config={"stations": {"max_frame_bytes": 4096}})
async def test_a_frame_beyond_the_limit_closes_1009_and_one_below_does_not(cp: Wire) -> None:
    await cp.say('[2,"1","Heartbeat",{}]'.ljust(4096))
    assert (await cp.hear())[0] == 3
    await cp.say('[2,"1","Heartbeat",{}]'.ljust(4097))
    assert await cp.close_code() == 1009


async def test_a_frame_of_a_megabyte_is_taken(cp: Wire) -> None:
    frame = json.dumps([2, "big", "DataTransfer", {"vendorId": "acme", "data": "x" * ((1 << 20) - 200)}])
    await cp.say(frame)
    assert (await cp.hear())[:2] == [3, "big"]


def masked(first_byte: int, payload: bytes) -> bytes:
    """A client's frame with a mask of zeros."""
    size = bytes((0x80 | len(payload),)) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2)
    return bytes((first_byte,)) + size + b"\0\0\0\0" + payload


async def spoken(host: Node, upgrade: Any, *frames: bytes) -> bytes:
    """What comes back for frames put on the wire byte by byte."""
    answer = await upgrade(host.host.bound_port, "/ocpp/Raw", "Sec-WebSocket-Protocol: ocpp1.6")
    assert answer.status == 101
    for frame in frames:
        answer.writer.write(frame)
    heard = b""
    try:
        while part := await asyncio.wait_for(answer.reader.read(4096), 0.3):
            heard += part
    except TimeoutError:
        pass
    return heard


async def test_a_message_in_fragments_with_a_ping_between_them_is_one_message(host: Node, upgrade: Any) -> None:
    heard = await spoken(
        host, upgrade, masked(0x01, b'[2,"1","Hea'), masked(0x89, b"are you there"), masked(0x00, b'rtbeat",'),
        masked(0x80, b"{}]"),
    )  # fmt: skip
    assert heard.startswith(b"\x8a\x0dare you there")
    assert b'[3,"1",' in heard


@pytest.mark.node(config={"stations": {"max_frame_bytes": 1024}})
async def test_fragments_count_together_against_the_limit(host: Node, upgrade: Any) -> None:
    heard = await spoken(host, upgrade, masked(0x01, b" " * 600), masked(0x00, b" " * 600))
    assert heard[:1] + heard[2:4] == b"\x88" + (1009).to_bytes(2)


@pytest.mark.parametrize(
    "frame",
    [masked(0xC1, b"compressed?"), masked(0x83, b"reserved opcode"), masked(0x80, b"a continuation of nothing")],
)
async def test_what_rfc_6455_forbids_closes_1002(host: Node, upgrade: Any, frame: bytes) -> None:
    heard = await spoken(host, upgrade, frame)
    assert heard[:1] + heard[2:4] == b"\x88" + (1002).to_bytes(2)
    assert host.host.links == {}


async def test_compression_is_not_agreed_on(host: Node, upgrade: Any) -> None:
    offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits"
    answer = await upgrade(host.host.bound_port, "/ocpp/CP-1", offer)
    assert (answer.status, answer.header("sec-websocket-extensions")) == (101, None)


async def test_a_close_of_the_station_is_answered_with_its_code(host: Node, upgrade: Any) -> None:
    heard = await spoken(host, upgrade, masked(0x88, (1000).to_bytes(2) + b"bye"))
    assert heard[:1] == b"\x88"
    await asyncio.sleep(0.05)
    assert host.host.links == {}


async def test_pings_and_pongs_of_the_station_are_taken(host: Node, cp: Wire) -> None:
    await cp.socket.ping(b"hello")
    await cp.socket.send_frame(b"unasked", WSMsgType.PONG)
    assert await alive(cp)


# ---------------------------------------------------------------------- fuzz

EXAMPLES = int(os.environ.get("ARTHEXIS_FUZZ", "250"))
"""Frames to try in each mode; a longer campaign: ARTHEXIS_FUZZ=20000 pytest tests/test_frames.py -k whatever."""
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
)
ACTIONS = st.sampled_from(
    "Authorize BootNotification DataTransfer FirmwareStatusNotification Heartbeat MeterValues StartTransaction "
    "StatusNotification StopTransaction Reset Boil".split()
)
MEMBERS = st.sampled_from(
    "connectorId idTag meterStart meterStop timestamp transactionId meterValue status errorCode vendorId data "
    "chargePointVendor chargePointModel transactionData reason".split()
)
PAYLOADS = st.dictionaries(MEMBERS, VALUES, max_size=6) | VALUES


def _utf8(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


def _text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


FRAMES = st.one_of(
    st.binary(max_size=200).filter(_text),
    st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")),
    st.lists(VALUES, max_size=6).map(_utf8),
    st.tuples(st.sampled_from([2, 3, 4]), VALUES, ACTIONS | VALUES, PAYLOADS).map(_utf8),
    st.tuples(st.just(2), st.text(max_size=36), ACTIONS, PAYLOADS).map(_utf8),
    st.tuples(st.just(2), st.text(max_size=36), ACTIONS, PAYLOADS).map(lambda p: json.dumps(p).encode()),
    st.tuples(ACTIONS, PAYLOADS, st.integers(1, 80)).map(lambda p: json.dumps([2, "cut", *p[:2]])[: -p[2]].encode()),
)


@pytest.mark.parametrize("mode", ["repair", "strict"])
def test_whatever_comes_is_answered_or_ignored_and_the_socket_lives(tmp_path: Any, mode: str) -> None:
    with asyncio.Runner() as runner:
        opened: list[Any] = []

        async def open_all() -> tuple[Node, Wire]:
            running = node(tmp_path / "n", plugins=["arthexis-ocpp16:*"], strict=mode == "strict")
            opened.append(running)
            host = await running.__aenter__()
            socket = wire(host.station_url("CP-1"))
            opened.append(socket)
            cp = await socket.__aenter__()
            await cp.boot()
            return host, cp

        async def close_all() -> None:
            for manager in reversed(opened):
                await manager.__aexit__(None, None, None)

        host, cp = runner.run(open_all())

        @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(FRAMES)
        def fuzz(frame: bytes) -> None:
            heard = runner.run(answers(cp, frame))
            assert len(heard) <= 1
            for said in heard:
                assert said[0] in {3, 4}
                assert said[0] == 3 or (
                    len(said) == 5 and len(said[3]) <= 255 and said[4] == {} and said[2] != "InternalError"
                )

        try:
            fuzz()
            assert host.faults() == []
        finally:
            runner.run(close_all())
