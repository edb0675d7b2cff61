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

from arthexis.config import Configuration, Node
from arthexis.errors import ConfigError, NotFound
from arthexis.plugins.compose import Selection, checked
from arthexis.plugins.discover import entry_points

GROUP = "arthexis.roles"
DEFAULT = "terminal"
BARE = "bare"


class Role(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A role as its file has it; plugins are patterns ``distribution:name``."""

    name: str
    summary: Annotated[str, Meta(min_length=1)]
    extends: str | None = None
    plugins: list[str] = []
    required: list[str] = []
    config: dict[str, Any] = {}
    source: str = ""


BARE_ROLE = Role(name=BARE, summary="The host alone: no plugin, every CALL is NotImplemented", source="arthexis-host")


def installed() -> dict[str, Role]:
    """Every role by name, the host's own ``bare`` among them; raises ``ConfigError`` for a role that cannot be read."""
    found = {BARE: BARE_ROLE}
    for point, distribution, _ in entry_points(GROUP):
        if point.name in found:
            raise ConfigError(
                f"role {point.name} comes from {found[point.name].source} and from {distribution}",
                place="roles",
                cure="Uninstall one of them",
            )
        found[point.name] = _read(point.name, point.value, distribution)
    return found


def _read(name: str, value: str, distribution: str) -> Role:
    package, _, file = value.partition(":")
    spec = find_spec(package.partition(".")[0])
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(f"role {name}: package {package} is not there", place=distribution, cure="Reinstall it")
    path = Path(spec.submodule_search_locations[0]) / f"{file}.toml"
    try:
        table = tomllib.loads(path.read_text("utf-8"))
        return msgspec.convert({**table, "name": name, "source": distribution}, Role)
    except (OSError, tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ConfigError(f"role {name} cannot be read: {error}", place=str(path), cure="Reinstall it") from None


def chosen(node: Node, roles: dict[str, Role]) -> Role:
    """The role of a node: the one it names, else terminal where it is installed, else bare."""
    name = node.role or (DEFAULT if DEFAULT in roles else BARE)
    if name not in roles:
        raise NotFound(
            f"no role {name}", place="node.role", cure=f"There are {', '.join(sorted(roles))}; others come as packages"
        )
    return roles[name]


def lineage(role: Role, roles: dict[str, Role]) -> list[Role]:
    """A role and those it extends, the furthest first; raises ``ConfigError`` for a circle or a gap."""
    line = [role]
    while (parent := line[0].extends) is not None:
        if parent not in roles:
            raise ConfigError(f"role {line[0].name} extends {parent}, which is not installed", place="roles")
        if any(known.name == parent for known in line):
            raise ConfigError(f"role {role.name} extends itself through {parent}", place="roles")
        line.insert(0, roles[parent])
    return line


def selection(line: list[Role], node: Node) -> Selection:
    """The plugins of a node: its roles' and those it enables, less those it disables."""
    plugins = [checked(p, f"role {role.name}") for role in line for p in role.plugins]
    required = [checked(p, f"role {role.name}") for role in line for p in role.required]
    enabled = [checked(p, "node.enable") for p in node.enable]
    disabled = [checked(p, "node.disable") for p in node.disable]
    kept = tuple(p for p in required if p not in disabled)
    return Selection((*plugins, *required, *enabled), kept, tuple(disabled))


def beneath(configuration: Configuration, line: list[Role]) -> None:
    """Put the roles' own settings beneath the file's."""
    for role in line:
        for section, values in role.config.items():
            configuration.role[section] = {**configuration.role.get(section, {}), **values}
