"""How a command reaches the node: over HTTP where it runs, on its files where it does not."""

from __future__ import annotations

import asyncio
import http.client
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import msgspec

from arthexis import config, errors, system
from arthexis.config import Configuration
from arthexis.errors import ArthexisError, PluginError, Unavailable
from arthexis.node_files import CONTROL, LOCK, Control, control_of

TIMEOUT_S = 10.0
LONG_TIMEOUT_S = 3600.0
LONG = ("db.backup", "db.verify")
BY_CODE = {
    kind.code: kind
    for kind in (
        errors.ConfigError,
        errors.PluginError,
        errors.DomainError,
        errors.Invalid,
        errors.NotFound,
        errors.Unavailable,
        errors.Refused,
        errors.Unauthorized,
    )
}


def config_path() -> Path | None:
    """The file that ``--config`` named, or None."""
    root = click.get_current_context().find_root().obj
    return root if isinstance(root, Path) else None


def configuration() -> Configuration:
    """The configuration that this command is about; raises ``ConfigError``."""
    return config.load(config_path())


def assembled() -> Any:
    """The node of this configuration, composed and not started."""
    from arthexis.assembly import Options, assemble

    return assemble(Options(config=config_path()))


def settings_of(plugin: str) -> Any:
    """The settings of a plugin as they stand in the configuration, for its commands; raises ``ArthexisError``."""
    found = assembled().composition.named(plugin)
    if not found or found[0].settings is None:
        raise PluginError(f"plugin {plugin} is not on", cure=f"See `arthexis plugins info {plugin}`")
    return found[0].settings


def ask(name: str, /, **parameters: Any) -> Any:
    """Answer a request of ``arthexis.control``; raises ``ArthexisError``."""
    given = {key: value for key, value in parameters.items() if value is not None}
    control = running(config.home())
    return over_http(control, name, given) if control is not None else _on_files(name, given)


def call_api(
    method: str, path: str, body: Any = None, *, file: Path | None = None, patience_s: float = LONG_TIMEOUT_S
) -> Any:
    """Ask a route of the running node, below ``/api/v1``; its answer's value, or its bytes where that is no JSON.

    For commands of plugins, whose routes exist only while a node runs: ``call_api("GET", "/acme/prices")``. ``body`` is
    sent as JSON, ``file`` as it is; ``patience_s`` is how long it may take. Raises ``ArthexisError``.
    """
    control = running(config.home())
    if control is None:
        raise Unavailable("no node is running", place=str(config.home()), cure="Start it with `arthexis start`")
    if file is not None:
        with file.open("rb") as content:
            return _called(control, method, path, content, "application/octet-stream", patience_s)
    sent = msgspec.json.encode(body) if body is not None else None
    return _called(control, method, path, sent, "application/json", patience_s)


def _called(control: Control, method: str, path: str, body: Any, kind: str, patience_s: float) -> Any:
    headers = {"Authorization": f"Bearer {control.token}", **({"Content-Type": kind} if body is not None else {})}
    response, content = _exchanged(control, method, f"/api/v1{path}", body, headers, patience_s)
    if response.status >= 400:
        raise _told(content, response.status)
    is_json = (response.getheader("Content-Type") or "").startswith("application/json")
    return msgspec.json.decode(content) if is_json else content or None


def node_url() -> str | None:
    """``http://127.0.0.1:<port>`` of the node that runs on this data folder, or None."""
    control = running(config.home())
    return control.url if control is not None else None


def running(folder: Path) -> Control | None:
    """How to reach the node that holds this data folder, or None; ``Unavailable`` if it does not say how."""
    if not system.held(folder / LOCK):
        return None
    control = control_of(folder)
    if control is None:
        raise Unavailable(
            "a node holds this data folder, and does not say how to reach it",
            place=str(folder / CONTROL),
            cure="It may be starting: try again. Otherwise end its process and start it anew",
        )
    return control


def over_http(control: Control, name: str, parameters: dict[str, Any]) -> Any:
    """Ask the running node."""
    patience_s = (LONG_TIMEOUT_S if name in LONG else TIMEOUT_S) + float(parameters.get("wait", 0.0))
    headers = {"Authorization": f"Bearer {control.token}", "Content-Type": "application/json"}
    content = msgspec.json.encode(parameters)
    response, body = _exchanged(control, "POST", f"/api/v1/control/{name}", content, headers, patience_s)
    if response.status >= 400:
        raise _told(body, response.status)
    return msgspec.json.decode(body)


def _exchanged(
    control: Control, method: str, path: str, body: Any, headers: dict[str, str], patience_s: float
) -> tuple[http.client.HTTPResponse, bytes]:
    """One request and the whole answer to it; ``Unavailable`` where none comes."""
    where = urlsplit(control.url)
    connection = http.client.HTTPConnection(where.hostname or "127.0.0.1", where.port, timeout=patience_s)
    try:
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response, response.read()
    except (OSError, http.client.HTTPException) as error:
        said = str(error) or type(error).__name__
        cure = f"See its log; if it hangs, end process {control.pid}"
        raise Unavailable(f"the node does not answer: {said}", place=control.url, cure=cure) from None
    finally:
        connection.close()


def _told(body: bytes, status: int) -> ArthexisError:
    try:
        problem = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.MsgspecError:
        return Unavailable(f"the node answered {status}: {body[:200].decode('utf-8', 'replace').strip()}")
    kind = BY_CODE.get(problem.get("code", ""), ArthexisError)
    return kind(problem.get("detail", ""), place=problem.get("place", ""), cure=problem.get("cure", ""))


def _on_files(name: str, parameters: dict[str, Any]) -> Any:
    """Open the node's files without running it."""
    host = assembled()
    held = system.lock(host.home / LOCK)
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
