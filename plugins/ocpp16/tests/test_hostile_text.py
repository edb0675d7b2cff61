"""Hostile text in every text member of every action: stored as text, answered, and harmless where it is shown."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from arthexis_ocpp16.testing import boot, meter, reading, start, status, stop
from click.testing import CliRunner

from arthexis.cli.main import main
from arthexis.testing import Node, Wire, wire

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*")
Run = Callable[..., AbstractAsyncContextManager[Node]]

TEXTS = {
    "script": "<script>alert(1)</script>",
    "image": '"><img src=x onerror=alert(1)>',
    "sql": "'; DROP TABLE station; --",
    "template": "{{7*7}}${7*7}%s%n",
    "terminal": "\x1b[2J\x1b]0;owned\x07\x9b31m",
    "nul": "A\x00B",
    "right to left": "\u202egnp.exe\u2066",
    "emoji": "\U0001f50c\U0001f697\u200d\U0001f9d1",
    "lines": "a\r\nSet-Cookie: x\n\u2028b",
    "no characters": "\ufffe\uffff\U0010ffff",
    "long": "x" * 300,
    "long of many bytes": "\u20ac" * 300,
    "path": "../../../etc/passwd",
}


def everything(text: str) -> list[tuple[str, dict[str, Any]]]:
    """Every text member that the schemas leave free, in all ten actions."""
    fields = ("chargePointSerialNumber", "chargeBoxSerialNumber", "firmwareVersion", "iccid", "imsi", "meterType")
    sample = {"value": text, "format": "SignedData"}
    return [
        ("BootNotification", boot(**dict.fromkeys(("chargePointVendor", "chargePointModel", *fields), text))),
        ("Authorize", {"idTag": text}),
        ("StatusNotification", status(info=text, vendorId=text, vendorErrorCode=text, timestamp=text)),
        ("StartTransaction", start(idTag=text, timestamp=text)),
        ("MeterValues", meter(sample, at=text)),
        ("StopTransaction", stop(0, idTag=text, timestamp=text, transactionData=[reading(sample, at="end" + text)])),
        ("DataTransfer", {"vendorId": text, "messageId": text, "data": text}),
        ("Heartbeat", {text: text}),
    ]


@pytest.mark.parametrize("text", TEXTS.values(), ids=list(TEXTS))
async def test_it_is_answered_and_stored_verbatim(host: Node, text: str) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        for action, payload in everything(text):
            assert (await cp.call(action, payload))[0] == 3
    (row,) = await host.ask("transactions.list")
    assert (row["id_tag"], row["started_at_raw"]) == (text[:20], text[:255])
    assert row["energy_wh"] == 7000
    shown = await host.ask("transactions.show", transaction=row["id"])
    assert [r["samples"][0]["value"] for r in shown["meter_values"]] == [text, text]
    station = await host.ask("stations.show", station="CP-1")
    assert station["vendor"] is not None
    assert station["statuses"][0]["vendor_id"] == text[:255]
    await host.settle()
    assert len(await host.ask("stations.list")) == 1


async def test_what_clips_a_text_says_so(host: Node, cp: Wire) -> None:
    await cp.result("StatusNotification", status(info="\x1b[2J" + "x" * 60))
    (kept,) = (await host.ask("stations.show", station="CP-1"))["statuses"]
    assert kept["info"] == "[2J" + "x" * 47
    assert kept["repairs"] is not None


@pytest.mark.parametrize("as_json", [False, True])
async def test_commands_and_the_first_page_show_it_harmlessly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run, as_json: bool
) -> None:
    """Security 17 to 19: nothing that a terminal or a browser obeys comes through."""
    async with run() as host:
        for text in TEXTS.values():
            async with wire(host.station_url("CP-1")) as cp:
                for action, payload in everything(text):
                    assert (await cp.call(action, payload))[0] == 3
        async with ClientSession() as session, session.get(host.url) as page:
            html = await page.text()
            policy = page.headers["Content-Security-Policy"]
    assert "<script" not in html
    assert "onerror" not in html
    assert "unsafe-inline" not in policy
    monkeypatch.setitem(os.environ, "ARTHEXIS_HOME", str(tmp_path / "again"))
    monkeypatch.setitem(os.environ, "ARTHEXIS_CONFIG", str(tmp_path / "again" / "arthexis.toml"))
    shown = {}
    for command in (
        ["stations", "list"],
        ["stations", "show", "CP-1"],
        ["transactions", "list"],
        ["transactions", "show", "1"],
        ["messages", "list", "--limit", "1000"],
        ["tags", "list"],
    ):
        arguments = [*command, *(["--json"] if as_json else [])]
        printed = await asyncio.to_thread(CliRunner().invoke, main, arguments)
        assert printed.exit_code == 0, (command, printed.output, printed.exception)
        assert all(c.isprintable() or c == "\n" for c in printed.stdout)
        shown[command[0]] = printed.stdout
    if as_json:
        frames = [row["frame"] for row in json.loads(shown["messages"])]
        assert any("\\u001b[2J" in frame for frame in frames)
    else:
        assert "DROP TABLE station" in shown["messages"]
