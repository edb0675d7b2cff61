"""Texts and numbers that a column cannot hold never make a message of a station unstorable, on either database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from arthexis_ocpp16.testing import boot, meter, reading, start, status, stop

from arthexis.testing import node, wire

TEXTS = ("A\x00B", "\ud800A", "\ufffe\U0010ffff", "\u20ac" * 5000)
NUMBERS = (2**31, 2**40, -(2**31) - 1, 2**62, 2**63 - 1, -(2**63), 10**30)


def of_text(text: str) -> list[tuple[str, dict[str, Any]]]:
    sample = {"value": text}
    return [
        ("BootNotification", boot(chargePointSerialNumber=text, firmwareVersion=text, meterType=text)),
        ("Authorize", {"idTag": text}),
        ("StatusNotification", status(info=text, vendorId=text, vendorErrorCode=text, timestamp=text)),
        ("StartTransaction", start(idTag=text, timestamp=text)),
        ("MeterValues", meter(sample, at=text)),
        ("StopTransaction", stop(0, idTag=text, timestamp=text, transactionData=[reading(sample, at=text)])),
        ("DataTransfer", {"vendorId": text, "messageId": text, "data": text}),
    ]


def of_number(number: int) -> list[tuple[str, dict[str, Any]]]:
    return [
        ("StatusNotification", status(connector=number)),
        ("StartTransaction", start(connectorId=number, meterStart=number, reservationId=number)),
        ("MeterValues", meter("1", connectorId=number, transactionId=number)),
        ("StopTransaction", stop(number, meterStop=number)),
    ]


@pytest.mark.parametrize("mode", ["repair", "strict"])
async def test_every_message_is_answered_once_and_again(tmp_path: Path, database_url: str, mode: str) -> None:
    """In strict mode some are refused for what they hold, none because it could not be stored."""
    settings = {"database": {"url": database_url}, "stations": {"mode": mode}}
    said = [message for text in TEXTS for message in of_text(text)]
    said += [message for number in NUMBERS for message in of_number(number)]
    async with node(tmp_path / "node", plugins=["arthexis-ocpp16:*"], config=settings) as host:
        for _ in range(2):
            async with wire(host.station_url("CP-1")) as cp:
                await cp.boot()
                for action, payload in said:
                    answer = await cp.call(action, payload)
                    assert answer[0] == 3 or (mode == "strict" and answer[2] != "InternalError"), (action, answer)
        await host.settle()
        found = await host.ask("transactions.list", limit=1000)
        assert len(await host.ask("messages.list", limit=1000)) >= 2 * len(said)
    if mode == "repair":
        assert len([row for row in found if "stop without a start" not in row["flags"]]) >= len(TEXTS)
        assert all((row["energy_wh"] or 0) >= 0 for row in found)
