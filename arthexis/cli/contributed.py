"""Commands of plugins: found by composing when one is run, and remembered so that ``--help`` can list them quickly."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from arthexis.errors import PluginError

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


def target(config_path: Path | None, name: str) -> tuple[str, Plugin] | None:
    """``module:attribute`` of a command that a plugin of this configuration brings, and whose it is, or None.

    Raises ``PluginError`` where a plugin of this name (``wifi`` of ``wifi_ap`` too) or a distribution is installed and
    does not run.
    """
    from arthexis.assembly import Options, assemble

    host = assemble(Options(config=config_path))
    remember(host)
    found = {command.name: (command.target, plugin) for plugin, command in host.composition.commands}
    if name not in found:
        for plugin in host.composition.plugins:
            own = f"{plugin.name}_".startswith(f"{name}_") or plugin.distribution in (name, f"arthexis-{name}")
            if own and not plugin.climbing:
                why = plugin.reason or "it is installed and not turned on"
                raise PluginError(f"there is no command {name}: {why}", place=plugin.full_name, cure=plugin.cure)
    return found.get(name)
