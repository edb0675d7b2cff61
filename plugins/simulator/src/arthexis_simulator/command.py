"""``arthexis simulate``: stations that charge cars, and single CALLs."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import click

from arthexis import ArthexisError, DomainError, Unavailable, ask, node_url
from arthexis_simulator.errors import CallError, ConnectionRefused, SimulatorError, Unanswered
from arthexis_simulator.faults import Fault
from arthexis_simulator.fleet import Fleet, Plan, Tally
from arthexis_simulator.progress import Progress, summary_lines
from arthexis_simulator.station import Station, station

EXIT_BAD = 1
EXIT_UNREACHABLE = Unavailable.exit_status
EXIT_INTERRUPTED = 130
USUAL_SPEED = 120.0
BOOT_FIRST = "SecurityError"
UNKNOWN_HERE = "Add it with `arthexis stations add {identity}` and give its key with --key, or use a node in open mode"


class PayloadType(click.ParamType[Any]):
    """JSON: on the command line itself, in a file (@FILE) or on standard input (-)."""

    name = "JSON"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read it, or say where it is no JSON."""
        try:
            return json.loads(self._text(value))
        except OSError as error:
            self.fail(f"{error.filename}: {error.strerror}", param, ctx)
        except (ValueError, RecursionError) as error:
            self.fail(f"that is no JSON: {error}", param, ctx)

    @staticmethod
    def _text(value: str) -> str | bytes:
        if value == "-":
            return sys.stdin.buffer.read()
        return Path(value[1:]).read_bytes() if value.startswith("@") else value


class FaultType(click.ParamType[Fault]):
    """A fault as it is written on the command line."""

    name = "KIND[:WHEN][@SECONDS]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Fault:
        """Read it, or say how it is written."""
        try:
            return Fault.parse(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.group(invoke_without_command=True)
@click.option("--stations", type=click.IntRange(1), default=1, show_default=True, help="Stations at once.")
@click.option("--sessions", type=click.IntRange(1), default=1, show_default=True, help="Whole sessions of each.")
@click.option("--speed", type=click.FloatRange(0.1, 1e6), default=USUAL_SPEED, show_default=True, help="Time-lapse.")
@click.option("--minutes", type=click.FloatRange(0.1, 10_000), default=20, show_default=True, help="Of each session.")
@click.option("--interval", type=click.FloatRange(1), default=60, show_default=True, help="Seconds between samples.")
@click.option(
    "--fault", "faults", multiple=True, type=FaultType(), help="late, reject, silent, malformed, reboot, drop."
)
@click.option("--url", help="Of the central system; the node that runs here if it is left out.")
@click.option("--key", help="Station key, text or 40 hexadecimal digits; for every station.")
@click.option("--prefix", default="SIM-", show_default=True, help="Identities are <prefix>001, 002 and so on.")
@click.option("--id-tag", help="One tag for every station instead of one for each.")
@click.option(
    "--patience",
    type=click.FloatRange(0.1),
    default=30,
    show_default=True,
    help="Seconds without the node, or without an accepted boot, before a station gives up.",
)
@click.option("--seed", type=int, help="Make the cars, and the luck of faults, the same each time.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary as JSON and nothing else.")
@click.pass_context
def simulate(
    ctx: click.Context,
    stations: int,
    sessions: int,
    speed: float,
    minutes: float,
    interval: float,
    faults: tuple[Fault, ...],
    url: str | None,
    key: str | None,
    prefix: str,
    id_tag: str | None,
    patience: float,
    seed: int | None,
    as_json: bool,
) -> None:
    """Let simulated charge points charge cars at a node, over real sockets.

    A fault happens each time it can, unless WHEN says how often: drop:0.2, drop:20%, drop:each-3.

    Ends with 0 if everything was answered and accepted, 1 if anything was refused or unanswered, 6 if there is no
    node, 130 after Ctrl-C.
    """
    if ctx.invoked_subcommand is not None:
        ctx.obj = (url, key)
        return
    identities = tuple(f"{prefix}{number:03d}" for number in range(1, stations + 1))
    tags = {identity: id_tag or f"TAG-{identity}"[-20:] for identity in identities}
    where, keys = _admitted(url, key, identities, set(tags.values()))
    plan = Plan(
        where,
        identities,
        keys,
        tags,
        sessions=sessions,
        duration_s=minutes * 60,
        interval_s=interval,
        speed=speed,
        faults=faults,
        patience_s=patience,
        seed=seed,
    )
    tally = _play(plan, as_json=as_json)
    found = tally.summary(plan)
    click.echo(json.dumps(found, indent=2) if as_json else "\n".join(summary_lines(found)))
    ctx.exit(_exit_status(tally, found))


def _play(plan: Plan, *, as_json: bool) -> Tally:
    progress = Progress(len(plan.identities) * plan.sessions, sys.stderr if as_json else sys.stdout)
    quiet = as_json and not sys.stderr.isatty()

    async def play() -> Tally:
        fleet = Fleet(plan, (lambda _line: None) if quiet else progress.tell)
        progress.tally = fleet.tally
        drawing = asyncio.ensure_future(progress.watch())
        try:
            return await fleet.run()
        finally:
            drawing.cancel()
            progress.end()

    if not quiet:
        stations = f"{len(plan.identities)} station{'s' if len(plan.identities) > 1 else ''}"
        progress.tell(f"{stations} at {plan.url}, {plan.speed:g} times as fast as real time")
    return asyncio.run(play())


def _exit_status(tally: Tally, found: dict[str, Any]) -> int:
    if tally.interrupted:
        return EXIT_INTERRUPTED
    if not found["messages"] and any("nobody answers" in what for what in found["refused"]):
        return EXIT_UNREACHABLE
    return EXIT_BAD if tally.bad or found["sessions"] < found["sessions_planned"] else 0


# ---------------------------------------------------------------------- the node that runs here


def _admitted(
    url: str | None, key: str | None, identities: tuple[str, ...], tags: set[str]
) -> tuple[str, dict[str, str | bytes | None]]:
    """Where to connect, and each station's key; on a closed node of this machine what is unknown is added."""
    given = _key(key)
    keys: dict[str, str | bytes | None] = dict.fromkeys(identities, given)
    if url is not None:
        return url, keys
    here = node_url()
    if here is None:
        raise Unavailable(
            "no node runs here", place="simulate", cure="Run `arthexis start --open`, or name one with --url"
        )
    if not ask("node.status")["open"]:
        if given is None:
            keys = {identity: _key_of(identity) for identity in identities}
        _add_tags(tags)
    return here, keys


def _key(text: str | None) -> str | bytes | None:
    """A key as it is sent: 40 hexadecimal digits are the bytes they name."""
    if text is None or len(text) != 40:
        return text
    try:
        return bytes.fromhex(text)
    except ValueError:
        return text


def _key_of(identity: str) -> bytes:
    """A new key of a simulated station, which is added if the node does not know it."""
    try:
        answer = ask("stations.add", station=identity)
    except DomainError:
        answer = ask("stations.key", station=identity)
    return bytes.fromhex(answer["key_hex"])


def _add_tags(tags: set[str]) -> None:
    known = {row["id_tag"].casefold() for row in ask("tags.list")}
    for tag in sorted(tags):
        if tag.casefold() not in known:
            ask("tags.add", id_tag=tag, note="arthexis simulate")


# ---------------------------------------------------------------------- one CALL


@simulate.command("call")
@click.argument("identity")
@click.argument("action")
@click.option(
    "--payload",
    type=PayloadType(),
    default="{}",
    help="The CALL's payload: JSON, @FILE or - for standard input. Sent as it is, even where the action knows better.",
)
@click.option(
    "--boot/--no-boot",
    default=None,
    help="Send a BootNotification first, or never; if neither, where the node wants one before it answers.",
)
@click.option("--key", help="Station key, text or 40 hexadecimal digits.")
@click.option("--url", help="Of the central system; the node that runs here if it is left out.")
@click.option("--timeout", "timeout_s", type=click.FloatRange(0.1), default=30.0, help="Seconds to wait.")
@click.option("--json", "as_json", is_flag=True, help="Print the answer with its latency and all frames.")
@click.pass_context
def call_(
    ctx: click.Context,
    identity: str,
    action: str,
    payload: Any,
    boot: bool | None,
    key: str | None,
    url: str | None,
    timeout_s: float,
    as_json: bool,
) -> None:
    """Connect as IDENTITY, send one CALL and print what is answered.

    Ends with 0 for a CALLRESULT, 1 for a CALLERROR or no answer, 2 for a payload that is no JSON, 6 if no socket could
    be opened. A station of this identity that is connected now loses its connection to this one.
    """
    outer = ctx.obj if isinstance(ctx.obj, tuple) else (None, None)
    where = url or outer[0] or node_url()
    if where is None:
        raise Unavailable("no node runs here", place="simulate", cure="Start one, or name one with --url")
    secret = _key(key or outer[1])
    found = asyncio.run(_exchanged(where, identity, secret, action, payload, boot=boot, timeout_s=timeout_s))
    if as_json:
        click.echo(json.dumps(found, indent=2))
    elif found["outcome"] == "CALLRESULT":
        click.echo(json.dumps(found["payload"], indent=2))
    else:
        click.echo(
            f"{action}: {found['outcome']} {found['code'] or ''} {found['description'] or ''}".rstrip(), err=True
        )
    ctx.exit(0 if found["outcome"] == "CALLRESULT" else EXIT_BAD)


async def _exchanged(
    url: str, identity: str, key: str | bytes | None, action: str, payload: Any, *, boot: bool | None, timeout_s: float
) -> dict[str, Any]:
    """What came of one CALL, as plain data."""
    found: dict[str, Any] = {"action": action, "outcome": "", "payload": None, "code": None, "description": None}
    try:
        async with station(url, identity, key=key, answer_timeout_s=timeout_s) as cp:
            if boot:
                await cp.boot()
            await _asked(cp, action, payload, found)
            if boot is None and found["code"] == BOOT_FIRST and (await cp.boot()).status == "Accepted":
                found.update(code=None, description=None)
                await _asked(cp, action, payload, found)
            found["frames"] = [[frame.direction, frame.text] for frame in cp.log]
    except ConnectionRefused as error:
        raise _refusal(error, identity) from None
    except SimulatorError as error:
        raise DomainError(str(error), place="simulate call") from None
    return found


async def _asked(cp: Station, action: str, payload: Any, found: dict[str, Any]) -> None:
    began = time.perf_counter()
    try:
        found["payload"] = await cp.send(action, payload)
        found["outcome"] = "CALLRESULT"
    except CallError as error:
        found.update(outcome="CALLERROR", code=error.code, description=error.description)
    except Unanswered as error:
        found.update(outcome="unanswered", description=str(error))
    found["latency_ms"] = round((time.perf_counter() - began) * 1000, 2)


def _refusal(error: ConnectionRefused, identity: str) -> ArthexisError:
    cure = UNKNOWN_HERE.format(identity=identity) if error.status == 401 else "See that it runs, and its log"
    return Unavailable(str(error), place="simulate call", cure=cure)
