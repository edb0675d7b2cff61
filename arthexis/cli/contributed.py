"""Commands of plugins: found by composing when one is run, and remembered so that ``--help`` can list them quickly."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from arthexis.plugins.states import Plugin

FILE = "commands.json"


class Remembered(msgspec.Struct, frozen=True):
    """A plugin's command as it was when the node was last composed."""

    name: str
    help: str


def remembered() -> list[Remembered]:
    """The plugins' commands as far as this data folder knows them; nothing is composed or imported for it."""
    from arthexis import config

    try:
        return msgspec.json.decode((config.home() / FILE).read_bytes(), type=list[Remembered])
    except (OSError, ValueError):
        return []


def remember(host: Any) -> None:
    """Keep the list for ``--help``, where the data folder is there and may be written to."""
    found = [Remembered(command.name, command.help) for _, command in host.composition.commands]
    if found == remembered() or not host.home.is_dir():
        return
    draft = Path(host.home) / FILE
    try:
        draft.write_bytes(msgspec.json.encode(found))
    except OSError:
        return


def targets(config_path: Path | None) -> dict[str, tuple[str, Plugin]]:
    """``module:attribute`` of each command that the plugins of this configuration bring, and whose it is.

    Raises ``ArthexisError``.
    """
    from arthexis.assembly import Options, assemble

    host = assemble(Options(config=config_path))
    remember(host)
    return {command.name: (command.target, plugin) for plugin, command in host.composition.commands}
