"""The tutorial of docs/plugins.md made real: its files written, installed into an environment of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FILE = re.compile(r"`(?P<path>[\w./]+)`:\n\n```\w+\n(?P<text>.*?)```\n", re.DOTALL)
SHELL = re.compile(r"^```sh\n(?P<lines>.*?)^```\n", re.DOTALL | re.MULTILINE)


def files(page: Path) -> dict[str, str]:
    """The files that a page shows, by their path."""
    return {found["path"]: found["text"] for found in FILE.finditer(page.read_text("utf-8"))}


def commands(page: Path) -> list[str]:
    """The lines of a page's shell blocks."""
    return [line for block in SHELL.finditer(page.read_text("utf-8")) for line in block["lines"].splitlines() if line]


@dataclass
class Environment:
    """A virtual environment and a data folder; ``run`` runs ``python -m arthexis …`` or another module in them."""

    folder: Path
    home: Path

    @property
    def python(self) -> Path:
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def environ(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ARTHEXIS")}
        return {**kept, "ARTHEXIS_HOME": str(self.home), "PYTHONDONTWRITEBYTECODE": "1"}

    def run(self, *args: str, module: str = "arthexis", status: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(self.python), "-m", module, *args],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
        assert done.returncode == status, f"{args} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        return done

    def install(self, *what: str) -> None:
        """Install from this machine alone: nothing is fetched, what it depends on is there."""
        pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(self.python), "install"]
        options = ["--quiet", "--no-index", "--no-deps", "--no-build-isolation"]
        done = subprocess.run([*pip, *options, *what], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def environment(folder: Path, *, editable: bool) -> Environment:
    """An environment that sees what is installed here; of what is installed editably only if ``editable``."""
    venv.create(folder, with_pip=False)
    made = Environment(folder, folder / "home")
    site = next(folder.glob("lib/python*/site-packages"), folder / "Lib" / "site-packages")
    ours = sysconfig.get_path("purelib")
    line = f"import site; site.addsitedir({ours!r})" if editable else ours
    (site / "zz_outside.pth").write_text(line + "\n", "utf-8")
    return made
