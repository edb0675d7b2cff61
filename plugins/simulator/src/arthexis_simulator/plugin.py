"""The plugin ``simulator``: it adds the command ``arthexis simulate`` and nothing else."""

from __future__ import annotations

from collections.abc import Iterable

from arthexis import Command, hookimpl


@hookimpl
def register_commands() -> Iterable[Command]:
    """Add ``arthexis simulate``; its code is imported when it is used."""
    yield Command("simulate", "arthexis_simulator.command:simulate", "Simulated charge points that charge cars")
