"""``arthexis plugins install`` and ``uninstall``: pip in this environment, with a plan before anything is done."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import click

from arthexis.cli import show
from arthexis.cli.node import held_while
from arthexis.cli.node_access import assembled, configuration
from arthexis.errors import ArthexisError, NotFound, Refused
from arthexis.plugins import packages
from arthexis.plugins.compatibility import HOST
from arthexis.plugins.compose import Selection
from arthexis.plugins.discover import discover, normal
from arthexis.plugins.packages import Change, Options, Plan
from arthexis.plugins.patterns import checked, matching
from arthexis.plugins.states import Plugin


@click.command()
@click.argument("requirements", nargs=-1, metavar="REQUIREMENT...")
@click.option("--find-links", multiple=True, metavar="FOLDER", help="Look for packages here too.")
@click.option("--no-index", is_flag=True, help="Ask no package index: only --find-links and files.")
@click.option("--upgrade", is_flag=True, help="Take the newest versions.")
@click.option("--force-reinstall", is_flag=True, help="Install again what is named, not what it needs.")
@click.option("--pre", is_flag=True, help="Take versions before their release too.")
@click.option("-e", "--editable", multiple=True, metavar="FOLDER", help="Install a project so that its files are used.")
@click.option("--no-build-isolation", is_flag=True, help="Build with what is installed here.")
@click.option("--from-source", is_flag=True, help="Build what has no wheel: that runs its code while the plan is made.")
@click.option("--enable", is_flag=True, help="Turn the plugins on that were asked for.")
@click.option("--dry-run", is_flag=True, help="Show the plan and do nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@show.json_option
def install(requirements: tuple[str, ...], enable: bool, dry_run: bool, yes: bool, as_json: bool, **how: Any) -> None:
    """Install distributions that bring plugins, after showing what that means.

    REQUIREMENT is what pip takes: a name, name==1.2, a wheel, a folder. What is installed is listed as found and not
    run until it is enabled, here with --enable or with `arthexis plugins enable`. The host itself is never changed.
    """
    if not requirements and not how["editable"]:
        raise click.UsageError("Missing argument 'REQUIREMENT...'.")
    _ask_first(as_json, yes or dry_run)
    planned = packages.plan(requirements, Options(**how))
    told = _told(planned)
    if not as_json:
        _print(planned, told)
    if planned.breaks:
        raise Refused(f"this would break {planned.breaks[0]}", place="plugins install", cure="Ask for other versions")
    if planned.changes and not dry_run:
        if not yes:
            _agree("Install this?")
        packages.carry_out(planned)
    turned_on = _turned_on(planned, requirements) if enable and not dry_run else []
    _ended(planned, told, turned_on, done=not dry_run, as_json=as_json)


def _ask_first(as_json: bool, answered: bool) -> None:
    """With --json nobody can be asked."""
    if as_json and not answered:
        raise click.UsageError("--json needs --yes or --dry-run, because nobody can be asked.")


def _agree(question: str) -> None:
    """Go on only with a yes; ends with a sentence and exit status 1 otherwise, also where nobody can be asked."""
    try:
        if click.confirm(question):
            return
        problem = "you said no"
    except click.Abort:
        if sys.stdin.isatty():
            raise
        problem = "nobody is there to answer"
    raise ArthexisError(f"nothing is changed: {problem}", cure="To go on without being asked: --yes")


def _selection() -> Selection:
    """What is on, as far as the configuration and the role can be read."""
    from arthexis import roles

    node, known = configuration().settings.node, roles.installed()
    try:
        return roles.selection(roles.lineage(roles.chosen(node, known), known), node)
    except ArthexisError:
        return Selection(tuple(checked(name, "node.enable") for name in node.enable))


def _told(planned: Plan) -> list[dict[str, Any]]:
    """Each change, and of each plugin that comes whether it would be on."""
    chosen = _selection()
    return [
        {**change.to_dict(), "plugins": [_would_be(change, name, chosen) for name in change.plugins]}
        for change in planned.changes
    ]


def _would_be(change: Change, name: str, chosen: Selection) -> dict[str, Any]:
    plugin = Plugin(name, change.distribution, change.version, "")
    on = matching(plugin, chosen.plugins) and not matching(plugin, chosen.disabled)
    return {"name": plugin.full_name, "on": on}


def _print(planned: Plan, told: list[dict[str, Any]]) -> None:
    if not told:
        click.echo("Everything that was asked for is installed already.")
        return
    click.echo("This would be installed:")
    for row in told:
        before = f" in the place of {row['before']}" if row["before"] not in (None, row["version"]) else ""
        again = " again" if row["before"] == row["version"] else ""
        source = f", from {row['url']}" if row["requested"] else ", which it needs"
        edited = " (editable)" if row["editable"] else ""
        click.echo(show.plain(f"  {row['distribution']} {row['version']}{again}{before}{edited}{source}"))
        for plugin in row["plugins"]:
            state = "on, because it is chosen already" if plugin["on"] else "found, and not run until it is enabled"
            click.echo(show.plain(f"    plugin {plugin['name']}: {state}"))
        for role in row["roles"]:
            click.echo(show.plain(f"    role {role}"))
    for problem in planned.breaks:
        click.echo(show.plain(f"  breaks: {problem}"))


def _turned_on(planned: Plan, requirements: Sequence[str]) -> list[str]:
    """Enable the plugins of what was asked for by name or file, not those of what it needs."""
    from arthexis.cli.plugins import turn_on

    asked = {change.distribution for change in planned.changes if change.requested}
    asked |= {name for name in map(_name_of, requirements) if name in packages.installed()}
    found = [plugin for plugin in discover() if plugin.distribution in asked]
    for plugin in found:
        turn_on(plugin.full_name)
    return [plugin.full_name for plugin in found]


def _name_of(requirement: str) -> str:
    """The distribution that a requirement names, or nothing for a file."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        return normal(Requirement(requirement).name)
    except InvalidRequirement:
        return ""


def _ended(planned: Plan, told: list[dict[str, Any]], turned_on: list[str], *, done: bool, as_json: bool) -> None:
    if as_json:
        show.as_json({"changes": told, "breaks": list(planned.breaks), "done": done, "enabled": turned_on})
        return
    if not done:
        return
    for row in told:
        click.echo(show.plain(f"installed {row['distribution']} {row['version']}"))
    if turned_on:
        click.echo(f"{', '.join(turned_on)} is on from the next start on: arthexis restart")
        return
    for row in told:
        for plugin in row["plugins"]:
            what = "arthexis restart" if plugin["on"] else f"arthexis plugins enable {plugin['name']}"
            click.echo(show.plain(f"{plugin['name']}: {what}"))


# ---------------------------------------------------------------------- uninstall


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option("--forget", is_flag=True, help="Take its plugins out of node.enable and node.disable too.")
@click.option("--drop-tables", is_flag=True, help="Drop its tables first, after a backup; the node must not run.")
@click.option("--force", is_flag=True, help="Also what the role or other distributions need.")
@click.option("--dry-run", is_flag=True, help="Show the plan and do nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@show.json_option
def uninstall(
    names: tuple[str, ...], forget: bool, drop_tables: bool, force: bool, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Uninstall distributions that bring plugins or roles, after showing what goes and what stays behind.

    NAME is a distribution or one of its plugins. Its tables stay in the database unless --drop-tables is given.
    """
    _ask_first(as_json, yes or dry_run)
    going = sorted({_distribution(name) for name in names})
    told = [_leaving(name) for name in going]
    reasons = _held_by(going)
    if not as_json:
        _print_leaving(told, drop_tables)
    if reasons and not force:
        raise Refused("; ".join(reasons), place="plugins uninstall", cure="Use another role first, or say --force")
    if not dry_run:
        if not yes:
            _agree("Uninstall this?")
        if drop_tables:
            _drop(going)
        packages.remove(going)
        if forget:
            _forget(going)
    if as_json:
        show.as_json({"distributions": told, "needed": reasons, "done": not dry_run, "forgotten": forget})
    elif not dry_run:
        click.echo(f"{', '.join(going)} uninstalled. A running node keeps what it has loaded: arthexis restart")


def _distribution(name: str) -> str:
    """The distribution that is meant; raises for the host, and for what brings no plugin or role."""
    plugins = [plugin for plugin in discover() if name in (plugin.name, plugin.full_name)]
    meant = {plugin.distribution for plugin in plugins} or {normal(name)}
    if len(meant) > 1:
        raise Refused(f"{name} comes from {' and '.join(sorted(meant))}", place=name, cure="Name the distribution")
    [found] = meant
    there = packages.installed().get(found)
    if there is None:
        raise NotFound(f"{name} is not installed", place="plugins uninstall", cure="See `arthexis plugins list`")
    if found == HOST:
        raise Refused("the host does not uninstall itself", place=HOST, cure=f"Use pip: pip uninstall {HOST}")
    if not any(packages.brings(there)):
        raise Refused(f"{found} brings no plugin and no role", place="plugins uninstall", cure="Use pip for it")
    return found


def _leaving(distribution: str) -> dict[str, Any]:
    """What goes with a distribution, and which of its tables stay."""
    there = packages.installed()[distribution]
    plugins, roles = packages.brings(there)
    return {
        "distribution": distribution,
        "version": there.version,
        "plugins": [f"{distribution}:{name}" for name in plugins],
        "roles": roles,
        "tables": _tables(distribution),
    }


def _tables(distribution: str) -> list[str]:
    """The tables of a distribution that the database holds: those that its plugins declare, or that bear its name."""
    from arthexis.db import migrate
    from arthexis.host import chain_of

    host = assembled()
    declared = {
        name
        for plugin, tables in host.composition.tables
        for name in (tables.metadata.tables if plugin.distribution == distribution else ())
    }
    if host.database.path is not None and not host.database.path.exists():
        return []
    try:
        return migrate.tables_of(host.database, chain_of(distribution), declared)
    finally:
        host.database.close()


def _held_by(going: list[str]) -> list[str]:
    """Why these should stay: the role needs them, or another distribution does."""
    from arthexis import roles

    chosen, known = _selection(), roles.installed()
    needed = [
        f"the role requires {plugin.full_name}"
        for plugin in discover()
        if plugin.distribution in going and matching(plugin, chosen.required)
    ]
    role = roles.chosen(configuration().settings.node, known)
    sources = [f"the role {one.name} of this node comes from it" for one in (role,) if one.source in going]
    others = [f"{who} needs {what}" for who, what in packages.needed_by(going)]
    return [*needed, *sources, *others]


def _print_leaving(told: list[dict[str, Any]], drop_tables: bool) -> None:
    click.echo("This would be uninstalled:")
    for row in told:
        click.echo(show.plain(f"  {row['distribution']} {row['version']}"))
        for plugin in row["plugins"]:
            click.echo(show.plain(f"    plugin {plugin}"))
        for role in row["roles"]:
            click.echo(show.plain(f"    role {role}"))
        if row["tables"]:
            stay = "are dropped" if drop_tables else "stay; --drop-tables drops them now, while their plugin is there"
            click.echo(show.plain(f"    tables {', '.join(row['tables'])} {stay}"))


def _drop(going: list[str]) -> None:
    """Take the tables of these distributions out of the database, which is copied before."""
    host = assembled()
    with held_while(host.home, "plugins uninstall"):
        try:
            host.drop_tables(going)
        finally:
            host.database.close()


def _forget(going: list[str]) -> None:
    """Take the plugins of these distributions out of the configuration."""
    found = configuration()
    node = found.settings.node
    before = {"node.enable": node.enable, "node.disable": node.disable}
    after = {
        key: [name for name in names if checked(name, key).partition(":")[0] not in going]
        for key, names in before.items()
    }
    found.change({key: names for key, names in after.items() if names != before[key]})
