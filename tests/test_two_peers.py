"""Nineteen operations against two foreign charge points that check every frame: requests are valid, ends true."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from arthexis_ocpp16.testing import answers, boot, requests

from arthexis.testing import Node
from tests.needs import lacks
from tests.peers import NAMES, OPERATIONS, Impossible, Peer, peer

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*")
SILENT = {"stations": {"call_timeout_s": 0.2}}
WRONG: tuple[Any, ...] = ([], "Accepted", 7, None, {"status": 7}, {"listVersion": "many"}, {"configurationKey": 5})


@pytest_asyncio.fixture(params=NAMES)
async def foreign(request: pytest.FixtureRequest, host: Node, tmp_path: Path) -> AsyncIterator[Peer]:
    """The station CP-1, booted: each test runs with each of the two peers."""
    try:
        async with peer(request.param, host.url, "CP-1", tmp_path) as found:
            await found.call("BootNotification", boot())
            yield found
            assert found.objections == []
    except Impossible as reason:
        lacks(str(reason))


def asked(host: Node) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Each operation with each of its payloads and each of its answers; reservations on a connector of their own."""
    connectors = itertools.count(1, 2)
    for action in OPERATIONS:
        for answer in answers(action):
            for payload in requests(host.host.clock.now(), next(connectors))[action]:
                yield action, payload, answer


async def told(host: Node, action: str, payload: dict[str, Any]) -> dict[str, Any]:
    record = await host.ask("operations.send", station="CP-1", action=action, payload=payload, wait=20)
    assert record["final"], record
    return dict(record)


async def test_every_request_is_valid_and_every_answer_is_how_it_ends(host: Node, foreign: Peer) -> None:
    sent = []
    for number, (action, payload, answer) in enumerate(asked(host)):
        if action == "SendLocalList" and "listVersion" in payload:
            payload = {**payload, "listVersion": 1000 + number}
        await foreign.answer("result", answer)
        record = await told(host, action, payload)
        assert record["state"] == answer.get("status", "answered"), (action, payload, record)
        assert record["answer"] == answer
        sent.append((action, record["payload"]))
    assert {action for action, _ in sent} == set(OPERATIONS)
    assert foreign.heard == sent, "each was told once, in this order, in the words of the record"


async def test_an_error_and_an_answer_of_another_shape_end_it(host: Node, foreign: Peer) -> None:
    for number, action in enumerate(OPERATIONS):
        await foreign.answer("error", ["NotSupported", "not here"])
        payload = requests(host.host.clock.now(), 1 + 20 * number)[action][0]
        record = await told(host, action, payload)
        assert (record["state"], record["error_code"], record["answer"]) == ("error", "NotSupported", None), action
        for place, wrong in enumerate(WRONG):
            await foreign.answer("raw", wrong)
            payload = requests(host.host.clock.now(), 3 + 20 * number + 2 * place)[action][0]
            record = await told(host, action, payload)
            if record["state"] == "error":
                assert record["error_code"] == "InvalidAnswer", (action, wrong, record)
            elif not record["repairs"]:
                assert record["state"] == "answered", (action, wrong, record)
                assert "status" not in answers(action)[0], (action, wrong, record)
    assert await foreign.call("Heartbeat", {})


async def test_a_connection_that_is_cut_before_the_answer_ends_it(host: Node, foreign: Peer) -> None:
    for action in OPERATIONS:
        await foreign.answer("drop")
        record = await told(host, action, requests(host.host.clock.now())[action][0])
        assert record["state"] == "station gone", (action, record)
        assert record["sent_at"] is not None
        await foreign.call("Heartbeat", {})
    assert [action for action, _ in foreign.heard] == list(OPERATIONS), "none was sent again"


@pytest.mark.node(config=SILENT)
async def test_silence_ends_it_and_the_next_is_sent(host: Node, foreign: Peer) -> None:
    for _ in OPERATIONS:
        await foreign.answer("silence")
    ends = await asyncio.gather(
        *(told(host, action, requests(host.host.clock.now())[action][0]) for action in OPERATIONS)
    )
    assert {end["state"] for end in ends} == {"timed out"}
    assert sorted(action for action, _ in foreign.heard) == list(OPERATIONS)
