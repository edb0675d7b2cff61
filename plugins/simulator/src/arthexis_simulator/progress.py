"""What a person sees while stations play: one line that moves on a terminal, plain lines elsewhere."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any, TextIO

import click

if TYPE_CHECKING:
    from arthexis_simulator.fleet import Tally

WIDTH = 20
REDRAW_S = 0.2
CLEAR = "\r\x1b[K"


class Progress:
    """Lines of what happened go to ``out`` at once; on a terminal a line of counts stands below them."""

    def __init__(self, planned: int, out: TextIO | None = None) -> None:
        """Show how far ``planned`` sessions are."""
        self.tally: Tally | None = None
        self._planned = planned
        self._out = out or sys.stdout
        self._moving = self._out.isatty()

    def tell(self, line: str) -> None:
        """Say that something happened."""
        self._write(f"{CLEAR if self._moving else ''}{line}\n")

    async def watch(self) -> None:
        """Redraw the line of counts until cancelled."""
        while self._moving:
            self._write(CLEAR + self.line())
            await asyncio.sleep(REDRAW_S)

    def line(self) -> str:
        """The counts in one line."""
        tally = self.tally
        if tally is None:
            return ""
        filled = WIDTH * tally.sessions // max(1, self._planned)
        bar = "#" * filled + "." * (WIDTH - filled)
        return (
            f"[{bar}] {tally.sessions}/{self._planned} sessions, {tally.charging} charging, "
            f"{tally.messages} messages answered, {tally.bad} refused or unanswered"
        )

    def end(self) -> None:
        """Take the moving line away."""
        if self._moving:
            self._write(CLEAR)

    def _write(self, text: str) -> None:
        click.echo(text, file=self._out, nl=False)


def summary_lines(found: dict[str, Any]) -> list[str]:
    """A summary for people."""
    stations = f"{found['stations']} station{'' if found['stations'] == 1 else 's'}"
    lines = [
        f"{stations}, {found['sessions']} of {found['sessions_planned']} sessions, "
        f"{found['energy_wh'] / 1000:.2f} kWh, {found['messages']} messages answered in {found['seconds']:g} s"
    ]
    latency = found["latency_ms"]
    if latency["max"] is not None:
        lines.append("latency  " + ", ".join(f"{name} {value:g} ms" for name, value in latency.items()))
    if found["faults"]:
        lines.append("faults   " + ", ".join(_fault(kind, count) for kind, count in found["faults"].items()))
    if found["reconnections"]:
        lines.append(f"came back after {found['reconnections']} lost connections")
    for kind in ("refused", "unanswered"):
        lines += [f"{kind}: {what} ({count} times)" for what, count in sorted(found[kind].items())]
    if found["interrupted"]:
        lines.append("interrupted; open sessions were stopped")
    return lines


def _fault(kind: str, count: int) -> str:
    idle = " (no operation came that could be rejected)" if kind == "reject" and not count else ""
    return f"{kind} {count}{idle}"
