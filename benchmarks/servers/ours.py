"""Ours: the real node as ``arthexis start`` runs it, role terminal, closed, every station with a key of its own."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from arthexis.assembly import Options, assemble
from arthexis.charging import keys, stations, tags
from arthexis.cli.node_access import over_http
from arthexis.db.statements import Connection
from arthexis.host import Host
from arthexis.node_files import Control, control_of
from benchmarks import fleet, process

CONFIG: Final = """\
[node]
role = "terminal"

[database]
url = "{url}"

[messages]
log = {log}

[stations] # a hundred stations do the work of many thousands here, which is no flood
frames_per_s = 100000
frames_burst = 100000000
"""


def register(db: Connection, host: Host, many: int) -> None:
    """Add stations with their keys, and their tags; those that are there already are left alone."""
    at = host.clock.now()
    for number in range(many):
        if stations.find(db, fleet.identity(number)) is None:
            stations.add(db, fleet.identity(number), keys.store(fleet.key(number), host.pepper), at)
            tags.add(db, fleet.tag(number), at)


def configure(folder: Path, *, url: str = "", log: bool = True) -> Path:
    """Write the node's configuration; where it is."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "arthexis.toml"
    config.write_text(CONFIG.format(url=url, log=str(log).lower()), encoding="utf-8")
    return config


def prepare(folder: Path, many: int) -> None:
    """Add so many stations and tags to a node that does not run yet."""
    host = assemble(Options(config=configure(folder), home=folder))

    async def add() -> None:
        await host.open_files()
        await host.journal.write(lambda db: register(db, host, many), slow=True)
        await host.close_files()

    asyncio.run(add())


@contextmanager
def running(folder: Path, port: int, *, url: str = "", log: bool = True, many: int = 0) -> Iterator[int]:
    """Run a node whose data lies in ``folder``, and add so many stations and tags to it; its process id."""
    config = configure(folder, url=url, log=log)
    command = [sys.executable, "-m", "arthexis", "--config", str(config), "start", "--port", str(port)]
    environ = {"ARTHEXIS_HOME": str(folder), "ARTHEXIS_LOG": "WARNING"}
    with process.server(command, port, folder / "node.log", environ) as pid:
        control = _control(folder)
        for number in range(many):
            over_http(control, "stations.add", {"station": fleet.identity(number), "key": fleet.key(number).hex()})
            over_http(control, "tags.add", {"id_tag": fleet.tag(number)})
        yield pid


def _control(folder: Path) -> Control:
    """How to reach the node, which says so a moment after it began to listen."""
    due = time.monotonic() + process.START_S
    while (control := control_of(folder)) is None:
        if time.monotonic() > due:
            raise RuntimeError(f"no node runs on {folder}")
        time.sleep(0.01)
    return control
