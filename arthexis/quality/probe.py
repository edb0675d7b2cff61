"""What a plugin does when it is run: a process that tries one step after the other and writes down what it saw.

``python -m arthexis.quality.probe FOLDER STEP...``: the folder holds ``plan.json``, and gets a JSON file of each step.
This process may be ended, hung or flooded by the plugin; whoever started it waits for so long and takes what is written
by then. It imports as little as it can, because one step is to import a plugin into a fresh interpreter.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from arthexis.assembly import Options
    from arthexis.host import Host
    from arthexis.plugins.compose import Composition
    from arthexis.plugins.states import Plugin

DESCRIPTORS = next((Path(place) for place in ("/proc/self/fd", "/dev/fd") if os.path.isdir(place)), None)
TIMES = 10
SETTLE_S = 0.05
DONE = "done"
Plan = dict[str, Any]


def imports(plan: Plan) -> dict[str, Any]:
    """Import one plugin's module: what it raised, which packages came with it, what it started and opened."""
    from arthexis.plugins.contain import attempt, told

    before, threads, opened = set(sys.modules), set(threading.enumerate()), descriptors()
    name, target = plan["plugins"][0]
    module, error = attempt(EntryPoint(name, target, "arthexis.plugins").load)
    if error is None and not hasattr(module, "__path__") and type(module).__name__ != "module":
        error = TypeError(f"{target} is no module")
    return {
        "error": told(error) if error is not None else None,
        "packages": sorted({module.partition(".")[0] for module in set(sys.modules) - before}),
        "threads": _names(set(threading.enumerate()) - threads),
        "opened": left_open(opened),
    }


def composes(plan: Plan) -> dict[str, Any]:
    """Compose a node of the plugins alone: their states, hooks, settings, contributions and what is not annotated."""
    from arthexis.assembly import assemble

    host = assemble(_options(plan))
    found = host.composition
    asked = [plugin for plugin in found.plugins if plugin.full_name in plan["names"]]
    return {
        "plugins": [_state(plugin) for plugin in asked],
        "hooks": sorted({hook for plugin in asked for hook in _hooks(plugin)}),
        "untyped": sorted(_untyped(found, asked)),
        "settings": [_setting(*found) for found in _settings(found, asked)],
        "offers": _offers(found),
        "tables": {tables.migrations: sorted(tables.metadata.tables) for _, tables in found.tables},
        "foreign": sorted({name for _, tables in found.tables for name in _foreign(tables.metadata)}),
    }


def migrates(plan: Plan) -> dict[str, Any]:
    """Bring the plugins' tables to head, to base and to head again on SQLite: what is missing, what stays."""
    import sqlalchemy as sa

    from arthexis.assembly import assemble
    from arthexis.db import migrate
    from arthexis.db.engine import Database
    from arthexis.plugins.contain import attempt, told

    found = assemble(_options(plan)).composition.tables
    database = Database("", Path(plan["home"]))
    migrate.upgrade(database, migrate.Chain(migrate.HOST, migrate.HOST_MIGRATIONS))

    def tables() -> set[str]:
        return set(sa.inspect(database.engine).get_table_names())

    before, missing, left, errors = tables(), list[str](), set[str](), list[str]()
    for folder, metadata in {tables.migrations: tables.metadata for _, tables in found}.items():
        chain = migrate.Chain("checked", folder)
        for step in (migrate.upgrade, migrate.downgrade, migrate.upgrade):
            _, error = attempt(step, database, chain)
            if error is not None:
                errors.append(f"{step.__name__}: {told(getattr(error, '__cause__', None) or error)}")
                break
            if step is migrate.downgrade:
                left |= tables() - before - {chain.version_table}
            elif not missing:
                missing += _absent(metadata, database)
    database.close()
    return {"errors": errors, "left": sorted(left), "missing": sorted(missing)}


def restarts(plan: Plan) -> dict[str, Any]:
    """Start and stop a node with the plugins alone, ten times on the same data: faults, states and leftovers."""
    from arthexis import system

    system.run(_once({**plan, "names": [], "settings": ""}))
    _tidy()
    threads, opened = set(threading.enumerate()), descriptors()
    seen: dict[str, Any] = {"error": None, "tasks": [], "faults": [], "plugins": []}
    unclosed: set[str] = set()
    warnings.simplefilter("always", ResourceWarning)
    warnings.showwarning = lambda message, *_, **__: unclosed.add(f"{message}"[:200])
    for _ in range(TIMES):
        seen = system.run(_once(plan))
        _tidy()
        if seen["error"] or seen["faults"] or seen["tasks"] or _failed(seen):
            break
    left = {"threads": _names(set(threading.enumerate()) - threads), "opened": left_open(opened)}
    return {**seen, **left, "unclosed": sorted(unclosed)}


STEPS: dict[str, Callable[[Plan], dict[str, Any]]] = {
    "imports": imports,
    "composes": composes,
    "migrates": migrates,
    "restarts": restarts,
}


# ---------------------------------------------------------------------- a node


def _options(plan: Plan) -> Options:
    """Options of an open node of these plugins alone, in the plan's folder."""
    from arthexis.assembly import Options

    home = Path(plan["home"])
    home.mkdir(parents=True, exist_ok=True)
    config = home / "arthexis.toml"
    names = ", ".join(json.dumps(name) for name in plan["names"])
    node = f'[node]\nrole = "bare"\nenable = [{names}]\nplugin_timeout_s = {plan["patience_s"]}\n'
    config.write_text(node + plan.get("settings", ""), "utf-8")
    return Options(config=config, home=home, port=0, open=True)


async def _once(plan: Plan) -> dict[str, Any]:
    """One start and one stop."""
    from arthexis import server
    from arthexis.assembly import assemble
    from arthexis.plugins.contain import outcome, told

    host = assemble(_options(plan))

    async def run() -> list[dict[str, Any]]:
        async with server.running(host, lambda: None):
            return _states(host, plan)

    states, error = await outcome(run)
    await asyncio.sleep(SETTLE_S)
    left = asyncio.all_tasks() - {asyncio.current_task()}
    return {
        "error": told(error) if error is not None else None,
        "plugins": states or _states(host, plan),
        "faults": [f"{plugin.name}: {told(fault)}" for plugin, fault in host.contain.faults],
        "tasks": sorted(task.get_name() for task in left),
    }


def _states(host: Host, plan: Plan) -> list[dict[str, Any]]:
    return [_state(plugin) for plugin in host.composition.plugins if plugin.full_name in plan["names"]]


def _state(plugin: Plugin) -> dict[str, Any]:
    told = ("name", "state", "reason", "cure")
    return {name: str(getattr(plugin, name)) for name in told}


def _failed(seen: dict[str, Any]) -> bool:
    return any(plugin["state"] == "failed" for plugin in seen["plugins"])


# ---------------------------------------------------------------------- what was composed


def _hooks(plugin: Plugin) -> dict[str, Callable[..., Any]]:
    """The hooks that a plugin's module implements."""
    found = vars(plugin.module) if plugin.module is not None else {}
    return {name: value for name, value in found.items() if callable(value) and hasattr(value, "arthexis_impl")}


def _untyped(found: Composition, asked: list[Plugin]) -> Iterable[str]:
    """The hooks and handlers that lack an annotation."""
    for plugin in asked:
        yield from (f"{plugin.name}: {name}" for name, hook in _hooks(plugin).items() if not _annotated(hook))
    for contributed in found.contributions.values():
        for plugin, contribution in contributed:
            for member in ("handler", "look", "prepare", "fill", "check", "finished"):
                given = getattr(contribution, member, None)
                if plugin in asked and callable(given) and not _annotated(given):
                    yield f"{plugin.name}: {getattr(given, '__name__', member)}"


def _annotated(function: Callable[..., Any]) -> bool:
    """Whether every argument and the answer of a function have a type; what is no plain function is let be."""
    import inspect

    inner = inspect.unwrap(function)
    inner = getattr(inner, "__func__", inner)
    code = getattr(inner, "__code__", None)
    if code is None:
        return True
    names = list(code.co_varnames[: code.co_argcount + code.co_kwonlyargcount])
    known = getattr(inner, "__annotations__", {})
    return "return" in known and all(name in known for name in names if name not in {"self", "cls"})


def _settings(found: Composition, asked: list[Plugin]) -> Iterable[tuple[str, Any, str]]:
    for plugin, config in found.contributions.get("register_config", []):
        if plugin in asked:
            for key in config.struct.__struct_encode_fields__:
                yield plugin.name, config.struct, key


def _setting(plugin: str, struct: Any, key: str) -> dict[str, Any]:
    from arthexis.plugins.contain import attempt
    from arthexis.values import described

    about, _ = attempt(described, struct, key)
    return {"plugin": plugin, "key": key, "meaning": (about or {}).get("meaning") or ""}


def _offers(found: Composition) -> dict[str, list[str]]:
    """What an operator can name of the contributions: commands, routes, notifiers, jobs."""
    named = {"commands": "name", "routes": "place", "notifiers": "name", "jobs": "name"}
    offered: dict[str, list[str]] = {}
    for what, member in named.items():
        contributed = found.contributions.get(f"register_{what}", [])
        offered[what] = sorted(str(getattr(contribution, member)) for _, contribution in contributed)
    return offered


def _foreign(metadata: Any) -> Iterable[str]:
    """The foreign keys that point to tables which are neither the plugin's own nor the host's."""
    from arthexis.db.schema import metadata as hosts

    for table in metadata.tables.values():
        for key in table.foreign_keys:
            target = key.target_fullname.rpartition(".")[0]
            if target not in metadata.tables and target not in hosts.tables:
                yield f"{table.name} points to {target}"


def _absent(metadata: Any, database: Any) -> Iterable[str]:
    """The tables and columns that the code declares and the migrations do not make."""
    import sqlalchemy as sa

    looked = sa.inspect(database.engine)
    there = set(looked.get_table_names())
    for table in metadata.tables.values():
        if table.name not in there:
            yield table.name
            continue
        made = {column["name"] for column in looked.get_columns(table.name)}
        yield from (f"{table.name}.{column.name}" for column in table.columns if column.name not in made)


# ---------------------------------------------------------------------- leftovers


def descriptors() -> dict[int, str]:
    """What this process has open, by number; empty where the system does not tell."""
    found: dict[int, str] = {}
    if DESCRIPTORS is None:
        return found
    for name in os.listdir(DESCRIPTORS):
        try:
            found[int(name)] = os.readlink(DESCRIPTORS / name)
        except OSError:
            continue
    return found


def left_open(before: dict[int, str]) -> list[str]:
    """What is open now and was not before."""
    return sorted(what for number, what in descriptors().items() if before.get(number) != what)


def _names(threads: Iterable[threading.Thread]) -> list[str]:
    return sorted(thread.name for thread in threads)


def _tidy() -> None:
    for _ in range(3):
        gc.collect()


def main(folder: str, *steps: str) -> None:
    """Do each step and write what was seen; nothing that a plugin has left behind keeps this process from ending.

    Nothing of a plugin that cannot be composed is started, and one without tables has no migrations.
    """
    plan = json.loads((Path(folder) / "plan.json").read_text("utf-8"))
    for step in steps:
        if step == "migrates" and not plan["tables"]:
            continue
        seen = STEPS[step]({**plan, "home": str(Path(folder) / step)})
        draft = Path(folder) / f"{step}.draft"
        draft.write_text(json.dumps(seen), "utf-8")
        draft.replace(draft.with_suffix(".json"))
        plan["tables"] = seen.get("tables", plan.get("tables"))
        if step == "composes" and _failed(seen):
            break
    (Path(folder) / DONE).touch()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
