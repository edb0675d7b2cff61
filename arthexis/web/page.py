"""The plain first page: where stations connect, how the plugins are, and what to do next. No script, no library."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from arthexis import __version__
from arthexis.host import Host
from arthexis.plugins.states import Plugin, State

STYLE = """
:root { color-scheme: light dark; --page: #f6f7f9; --card: #fff; --ink: #1b1f24; --soft: #59636e; --line: #d9dee4;
  --good: #17703f; --bad: #b3261e; --warn: #8a5300; --url: #eef2f7; }
@media (prefers-color-scheme: dark) { :root { --page: #14171b; --card: #1d2126; --ink: #e8eaed; --soft: #a0a9b4;
  --line: #343a42; --good: #6cc795; --bad: #ff8a80; --warn: #e5b25d; --url: #262c34; } }
* { box-sizing: border-box; }
body { font: 16px/1.55 system-ui, sans-serif; color: var(--ink); background: var(--page); max-width: 60rem;
  margin: 0 auto; padding: 1.5rem 1rem 3rem; }
header { display: flex; align-items: baseline; justify-content: space-between; flex-wrap: wrap; gap: 0 1rem; }
h1 { font-size: 1.6rem; margin: 0 0 1rem; letter-spacing: -0.01em; }
h2 { font-size: 1.05rem; margin: 0 0 0.6rem; }
p { margin: 0.4rem 0; } ul { margin: 0.4rem 0; padding-left: 1.2rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1rem 1.2rem;
  margin: 0 0 1rem; }
.soft { color: var(--soft); font-size: 0.92rem; }
code, kbd { font: 0.93em/1.4 ui-monospace, Consolas, monospace; background: var(--url); padding: 0.1em 0.35em;
  border-radius: 4px; overflow-wrap: anywhere; }
.big { display: block; font-size: 1.1rem; padding: 0.7rem 0.9rem; margin: 0.3rem 0; border-radius: 8px; }
.loud { border-left: 5px solid var(--warn); } .loud h2 { color: var(--warn); }
.alarm { border-left: 5px solid var(--bad); } .alarm h2 { color: var(--bad); }
ul.plugins { list-style: none; padding: 0; margin: 0; }
ul.plugins li { display: grid; grid-template-columns: minmax(0, 21rem) 7rem minmax(0, 1fr); gap: 0 1rem;
  padding: 0.45rem 0; border-top: 1px solid var(--line); overflow-wrap: anywhere; }
ul.plugins li:first-child { border-top: 0; }
.state { font-weight: 600; } .active .state { color: var(--good); }
.failed .state, .unavailable .state { color: var(--bad); } .degraded .state, .suspended .state { color: var(--warn); }
.cure { display: block; color: var(--soft); }
details summary { cursor: pointer; color: var(--soft); padding: 0.3rem 0; }
@media (max-width: 40rem) { ul.plugins li { grid-template-columns: minmax(0, 1fr) auto; }
  ul.plugins .told { grid-column: 1 / -1; } section { padding: 0.8rem 0.9rem; } }
pre { overflow-x: auto; background: var(--url); padding: 0.5rem; border-radius: 6px; }
""".lstrip()

QUIET = (State.FOUND, State.OFF)
WELL = (State.ACTIVE,)


def first_page(host: Host, *, local: bool) -> str:
    """The page; a visitor from elsewhere sees only where stations connect."""
    role = f"<p class=soft>Role {escape(host.role_name)} · version {escape(__version__)}</p>" if local else ""
    parts = [f"<header><h1>Arthexis</h1>{role}</header>"]
    if local:
        parts += [_recovery(host), _open(host), _notices(host)]
    parts.append(_connect(host))
    if local:
        parts += [_next(host), _plugins(host.composition.plugins)]
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        "<meta name=viewport content='width=device-width, initial-scale=1'>"
        "<title>Arthexis</title><link rel=icon href='data:,'><link rel=stylesheet href=/plain.css>"
        f"<main>{''.join(parts)}</main></html>"
    )


def _section(title: str, body: str, kind: str = "") -> str:
    named = f" class='{kind}'" if kind else ""
    return f"<section{named}><h2>{escape(title)}</h2>{body}</section>"


def _items(texts: Iterable[str]) -> str:
    return f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in texts)}</ul>"


def _recovery(host: Host) -> str:
    if not host.composition.recovery:
        return ""
    cures = {p.cure: None for p in host.composition.plugins if p.required and p.state is State.FAILED and p.cure}
    mend = "".join(f"<code class=big>{escape(cure)}</code>" for cure in cures)
    body = f"<p>Stations are not served until this is mended:</p>{_items(host.composition.recovery)}{mend}"
    return _section("Recovery", body, "alarm")


def _open(host: Host) -> str:
    if not host.open:
        return ""
    body = (
        "<p>Any station and any tag is admitted, no login is asked for, and only this machine is served. "
        "For real charging start with <kbd>./start.sh --lan</kbd> or <kbd>arthexis start</kbd>.</p>"
    )
    return _section("Open mode: not for real charging", body, "loud")


def _notices(host: Host) -> str:
    found = [f"{notice.reason}. {notice.cure}" for notice in host.composition.notices]
    return _section("To look at", _items(found), "loud") if found else ""


def _connect(host: Host) -> str:
    urls = "".join(f"<code class=big>{escape(url)}</code>" for url in host.station_urls("<identity>"))
    hint = "<p class=soft>OCPP 1.6J. Put the station's own identity in the place of <code>&lt;identity&gt;</code>.</p>"
    return _section("Stations connect to", urls + hint)


def _next(host: Host) -> str:
    connected = len(host.links)
    state = f"{connected} station{'' if connected == 1 else 's'} connected."
    if host.composition.recovery:
        command, hint = "arthexis plugins list", "See what failed, with its cure:"
    elif host.open and _has_command(host, "simulate"):
        command, hint = "arthexis simulate --stations 1 --sessions 1", "No station at hand? Let one be simulated:"
    elif host.open:
        command, hint = "arthexis messages list --follow", "Watch what stations say:"
    else:
        command, hint = "arthexis stations add CP-1", "Add a station; this prints its URL and its key:"
    return _section("Next", f"<p>{state} {hint}</p><code class=big>{escape(command)}</code>")


def _has_command(host: Host, name: str) -> bool:
    return any(command.name == name for _, command in host.composition.commands)


def _plugins(plugins: list[Plugin]) -> str:
    if not plugins:
        body = "<p>None is installed.</p><code class=big>pip install arthexis-ocpp16 arthexis-roles</code>"
        return _section("Plugins", body)
    quiet = [plugin for plugin in plugins if plugin.state in QUIET]
    ill = [plugin for plugin in plugins if plugin.state not in (*QUIET, *WELL)]
    well = [plugin for plugin in plugins if plugin.state in WELL]
    body = _rows([*ill, *well])
    if quiet:
        body += f"<details><summary>{len(quiet)} installed and not on</summary>{_rows(quiet)}</details>"
    return _section("Plugins", body)


def _rows(plugins: list[Plugin]) -> str:
    return f"<ul class=plugins>{''.join(map(_row, plugins))}</ul>"


def _row(plugin: Plugin) -> str:
    reason = f"{escape(plugin.reason)}." if plugin.reason else ""
    cure = f"<span class=cure>{escape(plugin.cure)}</span>" if plugin.cure else ""
    title = escape(f"{plugin.full_name} {plugin.version}", quote=True)
    return (
        f'<li class={plugin.state.value}><span title="{title}">{escape(plugin.name)}</span>'
        f"<span class=state>{plugin.state.value}</span><span class=told>{reason}{cure}</span></li>"
    )
