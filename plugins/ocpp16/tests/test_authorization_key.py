"""A new key by ChangeConfiguration: valid once told, the only one once used, and kept nowhere (security profile 1)."""

from __future__ import annotations

import asyncio
import logging
import secrets
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSServerHandshakeError

from arthexis.errors import DomainError
from arthexis.testing import Node, Wire, node, wire

pytestmark = [pytest.mark.plugins("arthexis-ocpp16:*"), pytest.mark.node(open_mode=False)]


async def added(host: Node) -> bytes:
    """The key of a new station CP-1."""
    return bytes.fromhex((await host.ask("stations.add", station="CP-1"))["key_hex"])


async def enters(host: Node, key: bytes) -> bool:
    """Whether the gate opens for this key."""
    try:
        async with wire(host.station_url("CP-1"), key=key):
            return True
    except WSServerHandshakeError:
        return False


async def push(host: Node, key: bytes, wait: float = 5) -> dict[str, Any]:
    """Send a new key; the operation's record."""
    payload = {"key": "AuthorizationKey", "value": key.hex()}
    record = await host.ask("operations.send", station="CP-1", action="ChangeConfiguration", payload=payload, wait=wait)
    return dict(record)


async def answered(host: Node, cp: Wire, key: bytes, status: str) -> dict[str, Any]:
    """Send a new key, which the station answers so; the operation's record."""
    sending = asyncio.ensure_future(push(host, key))
    frame = await cp.hear()
    assert frame[3] == {"key": "AuthorizationKey", "value": key.hex()}
    await cp.say([3, frame[1], {"status": status}])
    return await sending


async def test_the_old_key_works_until_the_station_first_comes_with_the_new_one(host: Node) -> None:
    old, new = await added(host), secrets.token_bytes(20)
    async with wire(host.station_url("CP-1"), key=old) as cp:
        await cp.boot()
        assert not await enters(host, new)
        assert (await answered(host, cp, new, "Accepted"))["state"] == "Accepted"
    assert await enters(host, old)
    assert await enters(host, new)
    assert not await enters(host, old)
    assert await enters(host, new)


async def test_before_the_station_has_answered_the_new_key_opens_nothing(host: Node) -> None:
    old, new = await added(host), secrets.token_bytes(16)
    async with wire(host.station_url("CP-1"), key=old) as cp:
        await cp.boot()
        sending = asyncio.ensure_future(push(host, new))
        frame = await cp.hear()
        assert not await enters(host, new)
        await cp.say([3, frame[1], {"status": "Accepted"}])
        await sending
        assert await enters(host, new)


@pytest.mark.parametrize("status", ["Rejected", "NotSupported"])
async def test_a_key_that_the_station_refused_opens_nothing(host: Node, status: str) -> None:
    old, new = await added(host), secrets.token_bytes(20)
    async with wire(host.station_url("CP-1"), key=old) as cp:
        await cp.boot()
        await answered(host, cp, new, status)
    assert not await enters(host, new)
    assert await enters(host, old)


async def test_where_the_end_is_unknown_both_keys_work(host: Node) -> None:
    old, new = await added(host), secrets.token_bytes(20)
    async with wire(host.station_url("CP-1"), key=old) as cp:
        await cp.boot()
        sending = asyncio.ensure_future(push(host, new))
        await cp.hear()
        cp.drop()
        assert (await sending)["state"] == "station gone"
    assert await enters(host, old)
    assert await enters(host, new)
    assert not await enters(host, old)


@pytest.mark.node(open_mode=False, config={"stations": {"call_timeout_s": 0.3}})
async def test_after_a_time_out_a_second_key_may_be_sent_and_whichever_is_used_is_the_one(host: Node) -> None:
    old, first, second = await added(host), secrets.token_bytes(20), secrets.token_bytes(20)
    async with wire(host.station_url("CP-1"), key=old) as cp:
        await cp.boot()
        assert (await push(host, first))["state"] == "timed out"
        await cp.hear()
        await answered(host, cp, second, "Rejected")
    assert not await enters(host, second)
    assert await enters(host, first)
    assert not await enters(host, old)


async def test_a_key_to_a_station_that_is_not_there_opens_nothing(host: Node) -> None:
    old, new = await added(host), secrets.token_bytes(20)
    assert (await push(host, new))["state"] == "station gone"
    assert not await enters(host, new)
    assert await enters(host, old)


@pytest.mark.parametrize("text", ["a", "secret-of-mine-1234", "00" * 20, "ab " * 16, "0f" * 15, "1b" * 21, "xy" * 16])
async def test_what_is_no_key_is_refused_with_the_cure_and_without_repeating_it(host: Node, text: str) -> None:
    await added(host)
    payload = {"key": "authorizationkey", "value": text}
    with pytest.raises(DomainError, match="32 to 40 hexadecimal digits") as refused:
        await host.ask("operations.send", station="CP-1", action="ChangeConfiguration", payload=payload)
    assert "--push" in refused.value.cure
    assert len(text) < 5 or text not in str(refused.value)


async def test_a_pushed_key_is_known_to_the_station_alone(host: Node, stations: Any) -> None:
    station = await stations("CP-1")
    old = station.key
    await station.boot()
    ended = await host.ask("stations.key", station="CP-1", push=True, wait=5)
    assert ended["state"] == "Accepted"
    assert "key_hex" not in ended
    async with asyncio.timeout(10):
        while station.reconnections == 0:
            await asyncio.sleep(0.02)
    assert station.key != old
    assert not await enters(host, old)


async def test_nothing_keeps_a_key(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    new = secrets.token_bytes(20)
    async with node(tmp_path / "node", plugins=["arthexis-ocpp16:*"], open_mode=True) as host:
        async with wire(host.station_url("CP-1")) as cp:
            await cp.boot()
            await answered(host, cp, new, "Accepted")
            for told in (
                {"status": new.hex()},
                {"configurationKey": [{"key": "AuthorizationKey", "readonly": False, "value": new.hex()}]},
            ):
                action = "ChangeConfiguration" if "status" in told else "GetConfiguration"
                payload = {"key": "AuthorizationKey", "value": new.hex()} if "status" in told else {}
                sending = asyncio.ensure_future(
                    host.ask("operations.send", station="CP-1", action=action, payload=payload, wait=5)
                )
                await cp.say([3, (await cp.hear())[1], told])
                assert new.hex() not in str(await sending)
            sending = asyncio.ensure_future(push(host, new))
            await cp.say([4, (await cp.hear())[1], "InternalError", f"no {new.hex().upper()}", {"value": new.hex()}])
            assert new.hex() not in str(await sending).lower()
        await host.settle()
        assert new.hex() not in str(await host.ask("messages.list", limit=1000)).lower()
    held = b"".join(file.read_bytes() for file in (tmp_path / "node").rglob("*") if file.is_file()).lower()
    assert b"configurationkey" in held
    assert new.hex().encode() not in held
    assert new not in held
    assert new.hex() not in caplog.text.lower()
