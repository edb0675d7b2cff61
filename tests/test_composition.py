"""What a composition comes to: recovery, plugins that went away, and the host that is installed alone."""

from __future__ import annotations

import importlib.metadata
import textwrap
from typing import Any

import pytest
from aiohttp import ClientSession, WSServerHandshakeError

from arthexis.testing import wire

REQUIRED = "arthexis-ocpp16:ocpp16.protocol"
TABLES = """
import sqlalchemy
from arthexis import Tables, hookimpl

@hookimpl
def register_tables():
    yield Tables(sqlalchemy.MetaData(), "{name}:migrations")
"""
REVISION = """
import sqlalchemy as sa
from alembic import op
revision, down_revision = "0001_first", None
def upgrade(): op.create_table("{name}_thing", sa.Column("id", sa.Integer, primary_key=True))
def downgrade(): op.drop_table("{name}_thing")
"""


def role(site: Any, text: str, name: str = "site") -> None:
    site.add(
        "",
        f"{name}_role",
        group="arthexis.roles",
        entries={name: f"{name}_roles:{name}"},
        files={f"{name}_roles/__init__.py": "raise SystemExit", f"{name}_roles/{name}.toml": textwrap.dedent(text)},
    )


def with_tables(site: Any, name: str) -> str:
    files = {
        f"{name}/__init__.py": TABLES.format(name=name),
        f"{name}/migrations/0001_first.py": REVISION.format(name=name),
    }
    return str(site.add("", name, files=files))


ASKS = """
from arthexis import hookimpl

@hookimpl
async def {hook}({arguments}):
    return None
"""
ARGUMENTS = [
    (
        "decide_authorization",
        "station, idtag",
        "no argument idtag; it has station, id_tag, starting",
        "Did you mean id_tag?",
    ),
    ("on_booted", "station", "no argument station; it has event", "Write: async def on_booted(event)"),
]


@pytest.mark.parametrize(("hook", "arguments", "reason", "cure"), ARGUMENTS)
def test_an_argument_that_a_hook_has_not_is_named_with_the_nearest_one(
    hook: str, arguments: str, reason: str, cure: str, arthexis: Any, site: Any
) -> None:
    arthexis.write(f"[node]\nenable = [{site.add(ASKS.format(hook=hook, arguments=arguments), 'acme')!r}]\n")
    told = arthexis("plugins", "info", "acme", "--json").json
    assert (told["state"], told["reason"]) == ("failed", f"{hook} has {reason}")
    assert told["cure"].startswith(cure)
    assert told["cure"].endswith("or run: arthexis plugins disable acme:acme")


NEEDS = """
from msgspec import Struct
from arthexis import Config, hookimpl

class Settings(Struct):
    {fields}

@hookimpl
def register_config():
    yield Config(Settings)
"""


def test_a_setting_that_must_be_set_is_named_and_its_cure_cures(arthexis: Any, site: Any) -> None:
    arthexis.write(f"[node]\nenable = [{site.add(NEEDS.format(fields='url: str'), 'acme')!r}]\n")
    told = arthexis("plugins", "info", "acme", "--json").json
    assert "plugins.acme.url is not set, and there is no default" in told["reason"]
    assert told["cure"] == "Run: arthexis config set plugins.acme.url VALUE"
    assert arthexis(*told["cure"].split()[2:]).status == 0
    assert arthexis("plugins", "info", "acme", "--json").json["state"] == "migrated"


def test_several_settings_that_must_be_set_are_all_named(arthexis: Any, site: Any) -> None:
    arthexis.write(f"[node]\nenable = [{site.add(NEEDS.format(fields='url: str; key: str'), 'acme')!r}]\n")
    told = arthexis("plugins", "info", "acme", "--json").json
    assert told["cure"] == f"Write [plugins.acme] into {arthexis.file}, and below it url = … and key = …"


COMMANDS = """
from arthexis import Command, hookimpl

@hookimpl
def register_commands():
    yield Command("acmecmd", "acme_nowhere:command", "It is not there")
"""


def test_a_command_that_cannot_be_loaded_names_its_plugin(arthexis: Any, site: Any) -> None:
    arthexis.write(f"[node]\nenable = [{site.add(COMMANDS, 'acme')!r}]\n")
    told = arthexis("acmecmd", "--json")
    assert (told.error["place"], told.error["problem"].partition(":")[0]) == (
        "plugin acme",
        "the command acmecmd cannot be loaded",
    )
    assert told.error["cure"] == "Reinstall acme, or run: arthexis plugins disable acme:acme"


async def refusal(url: str) -> tuple[int, str]:
    """How a station is refused: status and text."""
    async with ClientSession() as session:
        try:
            async with session.ws_connect(url, protocols=["ocpp1.6"]):
                raise AssertionError("it was let in")
        except WSServerHandshakeError as error:
            status = error.status
        headers = {
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        async with session.get(url.replace("ws", "http", 1), headers=headers) as answer:
            return status, await answer.text()


async def test_a_required_plugin_that_fails_starts_recovery(arthexis: Any, site: Any) -> None:
    acme = site.add("raise LookupError('<b>secret</b> path')")
    role(site, f"summary = 'A site'\nplugins = ['arthexis-ocpp16:*']\nrequired = ['{acme}']\n")
    arthexis.write("[node]\nrole = 'site'\n")
    arthexis.start("--open")
    status, text = await refusal(arthexis.station_url("CP-1"))
    assert (status, text) == (503, "This node is in recovery and serves no stations: acme:acme failed.\n")
    said = "acme:acme failed: its import failed: LookupError: <b>secret</b> path"
    assert arthexis("status", "--json").json["recovery"] == [said]
    assert f"RECOVERY: no stations are served: {said}" in arthexis("status").out
    assert "RECOVERY" in arthexis.log
    async with ClientSession(arthexis.url) as session:
        page = await (await session.get("/")).text()
        assert "&lt;b&gt;secret&lt;/b&gt; path" in page
        assert "<b>secret" not in page
        assert (await session.get("/health")).status == 503
    assert arthexis("plugins", "disable", "acme").status == 0
    assert arthexis("restart").status == 0
    async with wire(arthexis.station_url("CP-1")) as cp:
        assert (await cp.boot())["status"] == "Accepted"


async def test_a_required_plugin_that_is_missing_starts_recovery(arthexis: Any, site: Any) -> None:
    role(site, "summary = 'A site'\nrequired = ['gone-away:money']\n")
    arthexis.write("[node]\nrole = 'site'\n")
    arthexis.start("--open")
    status, text = await refusal(arthexis.station_url("CP-1"))
    assert (status, text) == (
        503,
        "This node is in recovery and serves no stations: gone-away:money is not installed.\n",
    )
    assert arthexis("status", "--json").json["recovery"] == ["gone-away:money is not installed"]


async def test_an_uninstalled_plugin_leaves_everything_else_working(arthexis: Any, site: Any) -> None:
    patterns = [with_tables(site, "acme"), with_tables(site, "other")]
    arthexis.write(f"[node]\nenable = {patterns!r}\n[plugins.acme.inner]\nport = 1\n")
    chains = arthexis("db", "upgrade", "--json").json["chains"]
    assert {c["name"]: c["current"] for c in chains if c["name"] in {"acme", "other"}} == {
        "acme": "0001_first",
        "other": "0001_first",
    }
    site.remove("acme")
    arthexis.start("--open")
    async with wire(arthexis.station_url("CP-1")) as cp:
        assert (await cp.boot())["status"] == "Accepted"
    chains = {c["name"]: c for c in arthexis("db", "status", "--json").json["chains"]}
    assert (chains["other"]["due"], chains["ocpp16"]["due"]) == (False, False)
    assert arthexis("db", "verify").status == 0
    notices = arthexis("status", "--json").json["notices"]
    assert notices == [
        {
            "reason": "acme:acme is named in the configuration and not installed",
            "cure": "Run: arthexis plugins install acme",
        },
        {
            "reason": f"{arthexis.file}: plugins.acme.inner is for no installed plugin",
            "cure": "Remove the section",
        },
    ]
    assert arthexis("plugins", "disable", "acme:acme").status == 0
    assert "acme:acme" not in arthexis.file.read_text()


async def test_the_host_alone_starts_and_answers_every_call_not_implemented(arthexis: Any) -> None:
    arthexis.write("[node]\nrole = 'bare'\n")
    arthexis.start("--open")
    async with ClientSession(arthexis.url) as session:
        page = await session.get("/")
        assert page.status == 200
        assert "ws://127.0.0.1" in await page.text()
    async with wire(arthexis.station_url("CP-1")) as cp:
        for action in ("BootNotification", "Heartbeat", "StartTransaction", "Anything"):
            assert await cp.error(action) == "NotImplemented"


def test_the_host_asks_for_about_a_dozen_packages_and_none_of_the_heavy_ones() -> None:
    required = importlib.metadata.requires("arthexis-host") or []
    direct = {line.split(";")[0].strip().split(">")[0].split("[")[0] for line in required if "extra ==" not in line}
    assert len(direct) <= 12, sorted(direct)
    assert not direct & {"jinja2", "redis", "ocpp", "celery", "uvloop", "psycopg"}
