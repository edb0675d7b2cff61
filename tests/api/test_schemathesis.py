"""A foreign judge: schemathesis reads the API document and tries every route, with good and with bad requests.

All of its checks, a fixed seed, no route left out. The node is closed, a station is connected and answers, and there
is something of everything, so that requests reach what they ask for.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from arthexis.testing import Node, Wire, node, wire
from arthexis.testing.wire import Closed
from arthexis.web.api.table import ROUTES

pytest.importorskip("schemathesis", reason="schemathesis is not installed")

SEED = "20261124"
EXAMPLES = os.environ.get("ARTHEXIS_API_EXAMPLES", "100")
LONGEST_S = 400
QUICK = {"http": {"longest_wait_s": 0.05, "longest_stream_s": 0.1}}


async def furnish(host: Node, cp: Wire) -> None:
    """Something of everything that requests ask for by the names in the document's examples."""
    await cp.boot()
    await cp.result("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"})
    start = {"connectorId": 1, "idTag": "TAG1", "meterStart": 100, "timestamp": "2026-11-24T10:00:00Z"}
    number = (await cp.result("StartTransaction", start))["transactionId"]
    meter = [{"timestamp": "2026-11-24T10:01:00Z", "sampledValue": [{"value": "150"}]}]
    await cp.result("MeterValues", {"connectorId": 1, "transactionId": number, "meterValue": meter})
    await host.ask("tags.add", id_tag="TAG1")


async def obey(cp: Wire) -> None:
    """Answer every CALL of the node."""
    with suppress(Closed):
        while True:
            frame = await cp.hear(LONGEST_S)
            if frame[0] == 2:
                await cp.say([3, frame[1], {"status": "Accepted"}])


async def judged(host: Node, token: str, folder: Path) -> tuple[int, str]:
    """What schemathesis says of a node."""
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{host.url}/api/openapi.json"),
        *("--header", f"Authorization: Bearer {token}", "--checks", "all", "--mode", "all"),
        *("--max-examples", EXAMPLES, "--seed", SEED, "--continue-on-failure", "--request-timeout", "20"),
        *("--suppress-health-check", "all", "--no-color"),
    ]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(LONGEST_S):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode or 0, said.decode("utf-8", "replace")


async def test_schemathesis_finds_nothing(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "plugins": ["arthexis-files:*", "arthexis-ocpp16:*"],
        "config": QUICK,
        "open_mode": False,
    }
    async with node(tmp_path / "node", **settings) as host:
        await host.ask("stations.add", station="CP-1", no_key=True)
        token = (await host.ask("tokens.add", name="judge", access="administrator"))["token"]
        async with wire(host.station_url("CP-1")) as cp:
            await furnish(host, cp)
            obeying = asyncio.create_task(obey(cp))
            status, said = await judged(host, token, tmp_path)
            obeying.cancel()
        many = len(ROUTES) + sum(not route.public for _, route in host.host.composition.routes)
    assert status == 0, said
    counted = re.search(r"Selected: (\d+)/(\d+)\s+Tested: (\d+)", said)
    assert counted is not None, said
    assert [int(number) for number in counted.groups()] == [many] * 3, said
