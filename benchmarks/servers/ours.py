"""Ours: the real node as ``arthexis start`` runs it, role terminal, closed, every station with a key of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from arthexis.cli.node_access import over_http
from arthexis.server import control_of
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


@contextmanager
def running(folder: Path, port: int, *, url: str = "", log: bool = True, stations: int = 100) -> Iterator[int]:
    """Run a node whose data lies in ``folder``, with so many stations and tags added; its process id."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "arthexis.toml"
    config.write_text(CONFIG.format(url=url, log=str(log).lower()), encoding="utf-8")
    command = [sys.executable, "-m", "arthexis", "--config", str(config), "start", "--port", str(port)]
    environ = {"ARTHEXIS_HOME": str(folder), "ARTHEXIS_LOG": "WARNING"}
    with process.server(command, port, folder / "node.log", environ) as pid:
        register(folder, stations)
        yield pid


def register(folder: Path, stations: int) -> None:
    """Add stations with their keys, and their tags, to the running node."""
    control = control_of(folder)
    if control is None:
        raise RuntimeError(f"no node runs on {folder}")
    for number in range(stations):
        over_http(control, "stations.add", {"station": fleet.identity(number), "key": fleet.key(number).hex()})
        over_http(control, "tags.add", {"id_tag": fleet.tag(number)})
