"""Put all 29 actions of OCPP 1.6 on the wire against charge points that check each frame, and write down which passed.

python -m tests.campaigns.coverage            writes docs/ocpp16-coverage.md and docs/ocpp16-coverage.svg
python -m tests.campaigns.coverage --check    writes nothing; exit status 1 if they are not what this run shows
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from arthexis_ocpp16.testing import answers, boot, meter, requests, start, status, stop

from arthexis.testing import Node, node
from tests.peers import NAMES, OPERATIONS, Peer, peer

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGE = DOCS / "ocpp16-coverage.md"
BADGE = DOCS / "ocpp16-coverage.svg"
INBOUND = (
    *("Authorize", "BootNotification", "DataTransfer", "DiagnosticsStatusNotification"),
    *("FirmwareStatusNotification", "Heartbeat", "MeterValues", "StartTransaction", "StatusNotification"),
    "StopTransaction",
)
FROM, TO = "station to node", "node to station"


@dataclass
class Coverage:
    """For each (action, direction) and peer, how many exchanges both sides took for valid."""

    passed: dict[tuple[str, str], dict[str, int]] = field(default_factory=dict)

    def count(self, action: str, direction: str, name: str) -> None:
        """One more exchange of an action with a peer."""
        of_peer = self.passed.setdefault((action, direction), {})
        of_peer[name] = of_peer.get(name, 0) + 1

    @property
    def complete(self) -> int:
        """How many actions every peer took for valid."""
        return sum(all(found.get(name) for name in NAMES) for found in self.passed.values())


async def covered(folder: Path) -> Coverage:
    """Run all actions with every peer; raises ``Impossible`` where one cannot play."""
    found = Coverage()
    async with node(folder / "node", plugins=["arthexis-ocpp16:*"]) as host:
        for number, name in enumerate(NAMES, 1):
            async with peer(name, host.url, f"CP-{number}", folder) as cp:
                await _inbound(cp, name, found)
                await _outbound(host, cp, f"CP-{number}", name, found)
    return found


async def _inbound(cp: Peer, name: str, found: Coverage) -> None:
    """The ten that a station sends, as a session has them; the peer checks each answer."""
    number = 0
    session: tuple[tuple[str, dict[str, Any]], ...] = (
        ("BootNotification", boot()),
        ("StatusNotification", status()),
        ("Heartbeat", {}),
        ("Authorize", {"idTag": "TAG"}),
        ("StartTransaction", start()),
        ("MeterValues", meter("1500")),
        ("StopTransaction", {}),
        ("DataTransfer", {"vendorId": "com.acme"}),
        ("DiagnosticsStatusNotification", {"status": "Idle"}),
        ("FirmwareStatusNotification", {"status": "Idle"}),
    )
    for action, payload in session:
        before = len(cp.objections)
        answer = await cp.call(action, payload if action != "StopTransaction" else stop(number))
        number = answer.get("transactionId", number)
        if len(cp.objections) == before:
            found.count(action, FROM, name)


async def _outbound(host: Node, cp: Peer, identity: str, name: str, found: Coverage) -> None:
    """The nineteen that a node sends, with every payload and every answer; the peer checks each request."""
    connectors = itertools.count(1, 2)
    for action in OPERATIONS:
        for answer in answers(action):
            for payload in requests(host.host.clock.now(), next(connectors))[action]:
                before = len(cp.objections)
                await cp.answer("result", answer)
                record = await host.ask(
                    "operations.send", station=identity, action=action, payload=_newer(payload, connectors), wait=20
                )
                if record["answer"] == answer and len(cp.objections) == before:
                    found.count(action, TO, name)


def _newer(payload: dict[str, Any], numbers: Any) -> dict[str, Any]:
    """A local list with a version of its own."""
    return {**payload, "listVersion": 1000 + next(numbers)} if "listVersion" in payload else payload


def page(found: Coverage) -> str:
    """The table, for docs."""
    wanted = [(action, FROM) for action in INBOUND] + [(action, TO) for action in OPERATIONS]
    lines = "".join(
        f"| {action} | {direction} | "
        + " | ".join(str(found.passed.get((action, direction), {}).get(name, 0)) for name in NAMES)
        + " |\n"
        for action, direction in wanted
    )
    return (
        "# What of OCPP 1.6 is on the wire\n\n"
        f"{found.complete} of {len(wanted)} actions passed with each of {len(NAMES)} charge points that others wrote. "
        "`ocpp` is the Python\npackage (its schemas check what the simulator's station hears and says), `ocpp-rpc` the "
        "one of npm in strict mode.\nA number counts exchanges that both sides took for valid: for what a node sends, "
        "each payload with each answer\nthat a station may give.\n\n"
        "`python -m tests.campaigns.coverage` runs them all and writes this page and its badge; a test checks both.\n\n"
        f"| action | direction | {' | '.join(f'`{name}`' for name in NAMES)} |\n| --- | --- | --- | --- |\n{lines}"
    )


def badge(found: Coverage) -> str:
    """A small picture of the sum."""
    whole = len(INBOUND) + len(OPERATIONS)
    colour = "#2e7d32" if found.complete == whole else "#b71c1c"
    said = f"{found.complete} of {whole} actions"
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" width="172" height="20" role="img" '
        f'aria-label="OCPP 1.6: {said}">\n'
        f"  <title>OCPP 1.6: {said}</title>\n"
        '  <rect width="66" height="20" fill="#444"/>\n'
        f'  <rect x="66" width="106" height="20" fill="{colour}"/>\n'
        '  <g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">\n'
        f'    <text x="33" y="14">OCPP 1.6</text>\n    <text x="119" y="14">{said}</text>\n'
        "  </g>\n</svg>\n"
    )


def outdated(found: Coverage) -> dict[Path, str]:
    """The files that are not what a run shows, with what they should be."""
    wanted = {PAGE: page(found), BADGE: badge(found)}
    return {file: text for file, text in wanted.items() if not file.exists() or file.read_text("utf-8") != text}


def main() -> int:
    """The command."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--check", action="store_true", help="write nothing")
    given = words.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(covered(Path(folder)))
    stale = outdated(found)
    for file, text in stale.items():
        if not given.check:
            file.write_text(text, "utf-8")
        print(f"{file.name} {'is out of date' if given.check else 'written'}")
    print(f"{found.complete} of {len(INBOUND) + len(OPERATIONS)} actions")
    return int(given.check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
