"""A plugin for tests, installed by a folder on the path: a durable subscriber that writes each event down at once."""

from __future__ import annotations

from pathlib import Path

CODE = '''"""Write the number of every event of a transaction into a file, on the disk before it counts as handled."""
import os

from arthexis import Subscriber, hookimpl

KINDS = frozenset({"transaction.started", "transaction.metered", "transaction.stopped"})


async def write_down(event):
    file = os.open(os.environ["WITNESS"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.write(file, f"{event.id} {event.station}\\n".encode())
    os.close(file)


@hookimpl
def register_subscribers():
    yield Subscriber("witness", KINDS, write_down)
'''


def install(folder: Path) -> Path:
    """Put the distribution ``arthexis-witness`` with its plugin ``witness`` into a folder, which goes on the path."""
    info = folder / "arthexis_witness-1.0.dist-info"
    info.mkdir(parents=True)
    (folder / "arthexis_witness.py").write_text(CODE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: arthexis-witness\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[arthexis.plugins]\nwitness = arthexis_witness\n")
    return folder


def seen(path: Path) -> list[tuple[int, str]]:
    """What the witness wrote down: (number of the event, station), in order. A torn last line does not count."""
    lines = path.read_text().splitlines() if path.exists() else []
    return [(int(number), station) for number, _, station in (line.partition(" ") for line in lines) if station]
