"""Trust: what is checked of a selected plugin before a line of it runs.

Its version is the one that was pinned, it is made for this host, and the files that its import would run are those that
its distribution installed: not a stranger's that lie earlier on the path, were added among them or written over them.
"""

from __future__ import annotations

from collections.abc import Sequence
from os.path import normcase

from arthexis.config import Notice
from arthexis.plugins.compatibility import fits_pin, unfit
from arthexis.plugins.contain import attempt, told
from arthexis.plugins.patterns import Pin, matching
from arthexis.plugins.provenance import outsider, owners, placed, tampered
from arthexis.plugins.states import Plugin, State


def hold_back(selected: Sequence[Plugin], pins: Sequence[Pin]) -> list[Notice]:
    """Fail each plugin that may not be imported; what is to be said of those that may."""
    changed: dict[str, list[str]] = {}
    for plugin in selected:
        if plugin.installed is not None and plugin.distribution not in changed:
            found, error = attempt(tampered, plugin.installed)
            changed[plugin.distribution] = found or [] if error is None else []
        files = changed.get(plugin.distribution, [])
        said = (
            _off_its_pin(plugin, pins) or unfit(plugin.distribution, plugin.needs_host) or _not_its_own(plugin, files)
        )
        if said is not None:
            plugin.fail(State.IMPORTED, *said)
    standing = {plugin.distribution for plugin in selected if plugin.state is not State.FAILED}
    return [
        Notice(
            f"files of {distribution} are not as they were installed: {', '.join(files[:3])}",
            _reinstall(distribution),
        )
        for distribution, files in changed.items()
        if files and distribution in standing
    ]


def _reinstall(requirement: str) -> str:
    """The cure where the files of a distribution were changed, with and without a package index."""
    run = f"Run: arthexis plugins install --force-reinstall {requirement}"
    return f"{run}, from a folder of wheels with: --no-index --find-links FOLDER"


def _off_its_pin(plugin: Plugin, pins: Sequence[Pin]) -> tuple[str, str] | None:
    """Why this version may not run, and the cure; None for a plugin without a pin, or with the right version."""
    if not plugin.pin or fits_pin(plugin.pin, plugin.version):
        return None
    place = next(pin.place for pin in reversed(pins) if matching(plugin, [pin.pattern]))
    install = f"arthexis plugins install '{plugin.distribution}=={plugin.pin}'"
    return (
        f"version {plugin.version} is installed, and {place} pins it to {plugin.pin}",
        f"Run: {install}, or trust the new one: arthexis plugins enable {plugin.full_name}=={plugin.version}",
    )


def _not_its_own(plugin: Plugin, changed: list[str]) -> tuple[str, str] | None:
    """Why its import would run files that its distribution did not install, and the cure."""
    if plugin.installed is None:
        return None
    module = plugin.target.partition(":")[0].partition("[")[0].strip()
    stranger, error = attempt(outsider, module, plugin.installed)
    if error is not None:
        return f"its files cannot be checked: {told(error)}", f"Reinstall {plugin.distribution}"
    if stranger is not None:
        whose = " and ".join(owners({normcase(stranger)}, plugin.installed))
        cure = f"Run: arthexis plugins uninstall {whose}" if whose else "Remove that file, or its folder from the path"
        return f"{stranger} would be run in its place{f', which {whose} installed' if whose else ''}", cure
    files = ", ".join(changed[:3])
    if changed and (whose := " and ".join(owners(placed(plugin.installed, changed), plugin.installed))):
        return f"{whose} has overwritten {files}", f"Run: arthexis plugins uninstall {whose}, and reinstall this one"
    if changed and plugin.pin:
        cure = _reinstall(f"'{plugin.distribution}=={plugin.pin}'")
        return f"it is pinned, and its files are not as they were installed: {files}", cure
    return None
