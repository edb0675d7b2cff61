"""The plain first page: where stations connect, how the plugins are, and what to do next. No script, no library."""

from __future__ import annotations

from html import escape

from arthexis import __version__
from arthexis.host import Host
from arthexis.plugins.states import Plugin, State

STYLE = """
:root { color-scheme: light dark; --line: #8886; --good: #2a7; --bad: #c33; --warn: #b70; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
code, kbd { font: 0.95em ui-monospace, monospace; background: #8882; padding: 0.15em 0.35em; border-radius: 4px; }
.url { display: block; font-size: 1.15rem; padding: 0.7rem 1rem; overflow-wrap: anywhere; }
.loud { border: 2px solid var(--warn); border-radius: 6px; padding: 0.6rem 1rem; }
.bad { border-color: var(--bad); }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; padding: 0.35rem 0.6rem 0.35rem 0;
border-bottom: 1px solid var(--line); vertical-align: top; } .active { color: var(--good); }
pre { overflow-x: auto; background: #8881; padding: 0.5rem; } summary { cursor: pointer; padding: 0.2rem 0; }
.failed, .unavailable { color: var(--bad); } .degraded { color: var(--warn); } .dim { opacity: 0.65; }
""".lstrip()

QUIET = (State.FOUND, State.OFF)


def first_page(host: Host, *, local: bool) -> str:
    """The page; a visitor from elsewhere sees only where stations connect."""
    url = host.station_urls("<identity>")[0]
    parts = [
        _banner(host) if local else "",
        f"<h2>Stations connect to</h2><code class=url>{escape(url)}</code>",
        "<p>Put your station's own identity in the place of <code>&lt;identity&gt;</code>.</p>",
    ]
    if local:
        parts += [_next(host), _plugins(host.composition.plugins)]
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>Arthexis</title><link rel=stylesheet href=/plain.css><h1>Arthexis {escape(__version__)}</h1>"
        + "".join(parts)
        + "</html>"
    )


def _banner(host: Host) -> str:
    said = []
    if host.composition.recovery:
        reasons = "".join(f"<li>{escape(reason)}" for reason in host.composition.recovery)
        said.append(
            f"<p class='loud bad'><b>Recovery:</b> stations are not served until this is mended.</p><ul>{reasons}</ul>"
        )
    if host.open:
        said.append(
            "<p class=loud><b>Open mode:</b> any station and any tag is admitted and no login is asked for. "
            "For real charging, start with <kbd>arthexis start</kbd> or <kbd>./start.sh --lan</kbd>.</p>"
        )
    return "".join(said)


def _next(host: Host) -> str:
    connected = len(host.links)
    state = f"{connected} station{'' if connected == 1 else 's'} connected."
    if host.open:
        command = "arthexis simulate --stations 1 --sessions 1"
        hint = "Or try a simulated station:"
    else:
        command, hint = "arthexis stations add CP-1", "Add a station; this prints its URL and key:"
    return f"<h2>Next</h2><p>{state} {hint}</p><code class=url>{escape(command)}</code>"


def _plugins(plugins: list[Plugin]) -> str:
    loud = [plugin for plugin in plugins if plugin.state not in QUIET]
    rows = "".join(_row(plugin) for plugin in [*loud, *(p for p in plugins if p.state in QUIET)])
    if not rows:
        return "<h2>Plugins</h2><p>None is installed. Try <kbd>pip install arthexis-ocpp16 arthexis-roles</kbd>.</p>"
    return f"<h2>Plugins</h2><table><tr><th>Plugin<th>State<th>Reason and cure</tr>{rows}</table>"


def _row(plugin: Plugin) -> str:
    dim = " class=dim" if plugin.state in QUIET else ""
    told = " ".join(filter(None, (f"{plugin.reason}." if plugin.reason else "", plugin.cure)))
    return (
        f"<tr{dim}><td>{escape(plugin.name)}<td class={plugin.state.value}>{plugin.state.value}<td>{escape(told)}</tr>"
    )
