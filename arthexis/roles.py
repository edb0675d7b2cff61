"""Roles: what a node is, as a TOML file that names plugins. Reading a role imports nothing.

A role is an entry point of the group ``arthexis.roles``: its name is the role's, its value ``package:file`` with
``.toml`` left out, found through the package's location.
"""

from __future__ import annotations

import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from arthexis.config import SECTIONS, Configuration, Node
from arthexis.errors import ConfigError, NotFound
from arthexis.plugins.compose import Selection
from arthexis.plugins.contain import attempt
from arthexis.plugins.discover import entry_points
from arthexis.plugins.patterns import checked, pinned

GROUP = "arthexis.roles"
DEFAULT = "terminal"
BARE = "bare"


class Role(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A role as its file has it; plugins are patterns ``distribution:name``. ``problem``: why it cannot be used."""

    name: str
    summary: Annotated[str, Meta(min_length=1)]
    extends: str | None = None
    plugins: list[str] = []
    required: list[str] = []
    config: dict[str, dict[str, Any]] = {}
    source: str = ""
    problem: str = ""


BARE_ROLE = Role(name=BARE, summary="The host alone: no plugin, every CALL is NotImplemented", source="arthexis-host")


def installed() -> dict[str, Role]:
    """Every role by name, the host's own ``bare`` among them; one that cannot be read is there with its problem."""
    found = {BARE: BARE_ROLE}
    for point, distribution, *_ in entry_points(GROUP):
        role = _read(point.name, point.value, distribution)
        if point.name in found:
            both = f"{found[point.name].source} and {distribution}"
            role = _unusable(point.name, both, f"it comes from {both}; uninstall one of them")
        found[point.name] = found[BARE] if point.name == BARE else role
    return found


def _unusable(name: str, source: str, problem: str) -> Role:
    return Role(name=name, summary="(unusable)", source=source, problem=problem)


def _read(name: str, value: str, distribution: str) -> Role:
    """A role from its file; nothing of its package is imported."""
    package, _, file = value.partition(":")
    spec, error = attempt(find_spec, package.partition(".")[0])
    if error is not None or spec is None or not spec.submodule_search_locations:
        return _unusable(name, distribution, f"package {package} is not there; reinstall {distribution}")
    path = Path(next(iter(spec.submodule_search_locations))).joinpath(*package.split(".")[1:], f"{file}.toml")
    try:
        table = tomllib.loads(path.read_text("utf-8"))
        for own in {"name", "source", "problem"} & table.keys():
            raise ValueError(f"{own} is not written in the file")
        return msgspec.convert({**table, "name": name, "source": distribution}, Role)
    except (OSError, ValueError) as problem:
        return _unusable(name, distribution, f"{path} cannot be read: {problem}")


def chosen(node: Node, roles: dict[str, Role]) -> Role:
    """The role of a node: the one it names, else terminal where it is installed, else bare."""
    name = node.role or (DEFAULT if DEFAULT in roles else BARE)
    if name not in roles:
        known = ", ".join(sorted(roles))
        raise NotFound(
            f"no role {name}",
            place="node.role",
            cure=f"There are {known}: `arthexis roles use NAME`. Others come as packages, for example arthexis-roles",
        )
    return _usable(roles[name])


def _usable(role: Role) -> Role:
    if role.problem:
        raise ConfigError(
            f"role {role.name} of {role.source}: {role.problem}", place="roles", cure="Mend it, or use another role"
        )
    return role


def lineage(role: Role, roles: dict[str, Role]) -> list[Role]:
    """A role and those it extends, the furthest first; raises ``ConfigError`` for a circle or a gap."""
    line = [role]
    while (parent := line[0].extends) is not None:
        if parent not in roles:
            raise ConfigError(
                f"role {line[0].name} extends {parent}, which is not installed",
                place=f"role {line[0].name} of {line[0].source}",
                cure=f"Install the package that brings {parent}, or use another role",
            )
        if any(known.name == parent for known in line):
            circle = " → ".join([*(known.name for known in reversed(line)), parent])
            raise ConfigError(
                f"role {role.name} extends itself: {circle}",
                place=f"role {line[0].name} of {line[0].source}",
                cure="Use another role; its author must mend `extends`",
            )
        line.insert(0, _usable(roles[parent]))
    return line


def selection(line: list[Role], node: Node) -> Selection:
    """The plugins of a node: its roles' and those it enables, less those it disables; the nearest pin counts."""
    written = [(p, f"role {role.name}") for role in line for p in (*role.plugins, *role.required)]
    written += [(p, "node.enable") for p in node.enable]
    by = tuple((checked(p, place), place) for p, place in written)
    plugins = [checked(p, f"role {role.name}") for role in line for p in role.plugins]
    required = [checked(p, f"role {role.name}") for role in line for p in role.required]
    enabled = [checked(p, "node.enable") for p in node.enable]
    disabled = [checked(p, "node.disable") for p in node.disable]
    return Selection(
        (*plugins, *required, *enabled),
        tuple(p for p in required if p not in disabled),
        tuple(disabled),
        named=(*enabled, *disabled),
        by=by,
        pins=tuple(pin for p, place in written if (pin := pinned(p, place)) is not None),
    )


def beneath(configuration: Configuration, line: list[Role]) -> None:
    """Put the roles' own settings beneath the file's, those of the nearest role on top; raises ``ConfigError``."""
    for role in line:
        for section, values in role.config.items():
            if section not in SECTIONS and section != "plugins":
                raise ConfigError(
                    f"there is no section {section}",
                    place=f"role {role.name} of {role.source}: config",
                    cure=f"There are {', '.join(SECTIONS)} and plugins.NAME",
                )
            configuration.role[section] = _merged(configuration.role.get(section, {}), values)


def _merged(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    both = {k: _merged(under[k], v) for k, v in over.items() if isinstance(v, dict) and isinstance(under.get(k), dict)}
    return {**under, **over, **both}
