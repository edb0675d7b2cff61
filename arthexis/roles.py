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
from msgspec.structs import replace

from arthexis.config import SECTIONS, Configuration, Node
from arthexis.errors import ConfigError, NotFound
from arthexis.plugins.compose import Selection
from arthexis.plugins.contain import attempt
from arthexis.plugins.discover import entry_points
from arthexis.plugins.patterns import checked, pinned

GROUP = "arthexis.roles"
DEFAULT = "terminal"
BARE = "bare"
HOUSE = "arthexis-roles"


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
    """Every role by name, the host's own ``bare`` among them; one that cannot be read is there with its problem.

    Where two packages bring one name, neither gets it: both are there as ``distribution:name``, to be chosen so.
    """
    of_name: dict[str, list[Role]] = {}
    for point, distribution, *_ in entry_points(GROUP):
        if point.name != BARE:
            of_name.setdefault(point.name, []).append(_read(point.name, point.value, distribution))
    found = {BARE: BARE_ROLE}
    for name, rivals in of_name.items():
        found[name] = rivals[0] if len(rivals) == 1 else _disputed(name, rivals)
        found |= {_whole(r): replace(r, name=_whole(r)) for r in rivals if len(rivals) > 1}
    return found


def _whole(role: Role) -> str:
    return f"{role.source}:{role.name}"


def _disputed(name: str, rivals: list[Role]) -> Role:
    both = " and ".join(sorted(role.source for role in rivals))
    ways = " or ".join(sorted(_whole(role) for role in rivals))
    return _unusable(name, both, f"it comes from {both}; choose one: arthexis roles use {ways}")


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
    """The role of a node: the one it names, with or without its distribution, else terminal, else bare."""
    found = current(node, roles)
    if found is None:
        known = ", ".join(sorted(roles))
        raise NotFound(
            f"no role {node.role}",
            place="node.role",
            cure=f"There are {known}: `arthexis roles use NAME`. Others come as packages, for example arthexis-roles",
        )
    return _usable(found)


def current(node: Node, roles: dict[str, Role]) -> Role | None:
    """The role that a node names or is by default, usable or not; None where it is not installed."""
    return _named(node.role or _default(roles), roles)


def _default(roles: dict[str, Role]) -> str:
    """What a node is that names no role; a stranger that brings another ``terminal`` changes nothing."""
    own = f"{HOUSE}:{DEFAULT}"
    return own if own in roles else DEFAULT if DEFAULT in roles else BARE


def _named(name: str, roles: dict[str, Role]) -> Role | None:
    if name in roles:
        return roles[name]
    return next((role for role in roles.values() if _whole(role) == name), None)


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
        above = roles.get(f"{line[0].source}:{parent}") or _named(parent, roles)
        if above is None:
            raise ConfigError(
                f"role {line[0].name} extends {parent}, which is not installed",
                place=f"role {line[0].name} of {line[0].source}",
                cure=f"Install the package that brings {parent}, or use another role",
            )
        if any(known.name == above.name for known in line):
            circle = " → ".join([*(known.name for known in reversed(line)), parent])
            raise ConfigError(
                f"role {role.name} extends itself: {circle}",
                place=f"role {line[0].name} of {line[0].source}",
                cure="Use another role; its author must mend `extends`",
            )
        line.insert(0, _usable(above))
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
