"""A throw-away PostgreSQL server of the tests' own: fsync on, a socket in a temporary folder, gone at the end."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from pathlib import Path

WAIT_S = "60"
SETTINGS = """
fsync = on
recovery_init_sync_method = syncfs
listen_addresses = ''
unix_socket_directories = '{}'
"""


def binaries() -> Path | None:
    """Where the newest installed server's commands are, or None if there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    named = shutil.which("postgres")
    return Path(named).parent if named else None


class Cluster:
    """One server; each test makes itself a database in it."""

    def __init__(self, commands: Path) -> None:
        self._commands = commands
        self.folder = Path(tempfile.mkdtemp(prefix="arthexis-pg-"))
        self._as: list[str] = []
        if os.geteuid() == 0:
            self._as = ["runuser", "-u", "postgres", "--"]
            shutil.chown(self.folder, "postgres", "postgres")
        self._run("initdb", "-U", "postgres", "-A", "trust", "-E", "UTF8", "-D", str(self.folder / "data"))
        with (self.folder / "data" / "postgresql.conf").open("a") as conf:
            conf.write(SETTINGS.format(self.folder))
        self.start()

    def start(self) -> None:
        """Start the server and wait for it."""
        self._control("start", "-l", str(self.folder / "server.log"))

    def stop(self, mode: str = "fast") -> None:
        """Stop the server; ``immediate`` is a crash: nothing is written out."""
        self._control("stop", "-m", mode)

    def remove(self) -> None:
        """Stop and delete everything."""
        if (self.folder / "data" / "postmaster.pid").exists():
            self.stop("immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def database(self) -> str:
        """The URL of a new, empty database."""
        name = f"t{uuid.uuid4().hex[:12]}"
        self._run("createdb", "-h", str(self.folder), "-U", "postgres", name)
        return f"postgresql://postgres@/{name}?host={self.folder}"

    def _control(self, *words: str) -> None:
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-t", WAIT_S, *words)

    def _run(self, command: str, *words: str) -> None:
        # A server inherits the files of pg_ctl, so that a pipe to it would never end.
        with tempfile.TemporaryFile() as said:
            done = subprocess.run(
                [*self._as, str(self._commands / command), *words], stdout=said, stderr=said, cwd=self.folder
            )
            said.seek(0)
            if done.returncode != 0:
                raise RuntimeError(f"{command}: {said.read().decode(errors='replace')}")
