"""How a command reaches the node: over HTTP where it runs, on its files where it does not."""

from __future__ import annotations

import asyncio
import http.client
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import msgspec

from arthexis import config, errors, server, system
from arthexis.errors import ArthexisError, Unavailable

TIMEOUT_S = 60.0
BY_CODE = {
    kind.code: kind
    for kind in (
        errors.ConfigError,
        errors.PluginError,
        errors.DomainError,
        errors.NotFound,
        errors.Unavailable,
        errors.Refused,
    )
}


def ask(name: str, /, **parameters: Any) -> Any:
    """Answer a request of ``arthexis.control``; raises ``ArthexisError``."""
    given = {key: value for key, value in parameters.items() if value is not None}
    folder = config.home()
    control = server.control_of(folder)
    if control is not None and _runs(folder):
        return over_http(control, name, given)
    return _on_files(name, given)


def node_url() -> str | None:
    """``http://127.0.0.1:<port>`` of the node that runs on this data folder, or None."""
    folder = config.home()
    control = server.control_of(folder)
    return control.url if control is not None and _runs(folder) else None


def over_http(control: server.Control, name: str, parameters: dict[str, Any]) -> Any:
    """Ask the running node."""
    where = urlsplit(control.url)
    connection = http.client.HTTPConnection(where.hostname or "127.0.0.1", where.port, timeout=TIMEOUT_S)
    try:
        connection.request(
            "POST",
            f"/api/v1/control/{name}",
            msgspec.json.encode(parameters),
            {"Authorization": f"Bearer {control.token}", "Content-Type": "application/json"},
        )
        response = connection.getresponse()
        body = response.read()
    except OSError as error:
        raise Unavailable(f"the node at {control.url} does not answer: {error}", cure="See its log") from None
    finally:
        connection.close()
    if response.status >= 400:
        raise _told(body, response.status)
    return msgspec.json.decode(body)


def _told(body: bytes, status: int) -> ArthexisError:
    try:
        problem = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.MsgspecError:
        return Unavailable(f"the node answered {status}: {body[:200].decode('utf-8', 'replace').strip()}")
    kind = BY_CODE.get(problem.get("code", ""), ArthexisError)
    return kind(problem.get("title", ""), place=problem.get("place", ""), cure=problem.get("cure", ""))


def _runs(folder: Path) -> bool:
    """Whether a node holds the data folder."""
    if not (folder / server.LOCK).exists():
        return False
    held = system.lock(folder / server.LOCK)
    if held is None:
        return True
    held.close()
    return False


def _on_files(name: str, parameters: dict[str, Any]) -> Any:
    """Open the node's files without running it."""
    from arthexis.assembly import Options, assemble

    root = click.get_current_context().find_root()
    host = assemble(Options(config=root.obj if isinstance(root.obj, Path) else None))
    held = system.lock(host.home / server.LOCK)
    if held is None:
        raise Unavailable("a node is starting on this data folder", place=str(host.home), cure="Try again in a moment")
    with held:
        answer = asyncio.run(_answered(host, name, parameters))
    click.echo(f"(no node is running; this is from the files in {host.home})", err=True)
    return answer


async def _answered(host: Any, name: str, parameters: dict[str, Any]) -> Any:
    from arthexis.control import ask as answer

    await host.open_files()
    try:
        value = await answer(host, name, parameters)
        return msgspec.json.decode(msgspec.json.encode(value))
    finally:
        await host.close_files()
