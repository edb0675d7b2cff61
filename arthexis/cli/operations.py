"""``arthexis send`` and ``arthexis operations``: what stations are told, and what became of it."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from arthexis.cli import show
from arthexis.cli.node_access import ask
from arthexis.errors import DomainError
from arthexis.values import parse_value

WAIT_S = 35.0
MOST_WAIT_S = 60.0
ALL = "all"
DONE = frozenset({"answered", "Accepted", "Scheduled", "RebootRequired", "Unlocked"})
"""The states of an operation that did what it was for, or will."""


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": True})
@click.argument("station")
@click.argument("action")
@click.argument("members", nargs=-1, type=click.UNPROCESSED, metavar="[--MEMBER VALUE]...")
@click.option("--payload", metavar="JSON", help="The request as OCPP JSON; --MEMBER VALUE adds to it.")
@click.option("--wait", type=click.FloatRange(0, 600), default=WAIT_S, show_default=True, help="Seconds for its end.")
@click.option(
    "--queue-for", type=click.FloatRange(min=0), metavar="MINUTES", help="Wait so long for an offline station."
)
@click.option("--priority", type=int, default=0, help="Higher goes first.")
@click.option("--confirm", type=int, metavar="COUNT", help="How many stations you mean, for a dangerous operation.")
@click.option("--per-second", type=click.FloatRange(min=0, min_open=True), help="So many stations a second.")
@show.json_option
@click.pass_context
def send(
    ctx: click.Context,
    station: str,
    action: str,
    members: tuple[str, ...],
    payload: str | None,
    wait: float,
    queue_for: float | None,
    priority: int,
    confirm: int | None,
    per_second: float | None,
    as_json: bool,
) -> None:
    """Tell STATION to do ACTION, for example: arthexis send CP-1 Reset --type Soft.

    STATION may be several with commas between, or all. A member that is a list may be given more than once.

    Exit status 0: the station did or will do it, 8: it refused, failed or was not reached, 9: there was no end in time;
    with several stations the highest of theirs.
    """
    until = datetime.now(UTC) + timedelta(minutes=queue_for) if queue_for is not None else None
    request = {**_payload(payload), **_members(action, members)}
    given: dict[str, Any] = {
        "action": action,
        "payload": request,
        "queue_until": until,
        "priority": priority,
        "requested_by": "command line",
    }
    if "," in station or station == ALL:
        ctx.exit(_many(_named(station), given, wait, confirm=confirm, per_second=per_second, as_json=as_json))
    found = ask("operations.send", station=station, wait=wait, **given)
    if as_json:
        show.as_json(found)
    else:
        told(found)
    ctx.exit(status_of(found))


def _named(text: str) -> list[str]:
    """The stations that a person means; raises ``DomainError`` where there are none."""
    if text == ALL:
        names = [row["identity"] for row in ask("stations.list")]
    else:
        names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise DomainError("no station is named", place="send", cure="See `arthexis stations list`")
    return names


def _many(
    stations: list[str],
    given: dict[str, Any],
    wait: float,
    *,
    confirm: int | None,
    per_second: float | None,
    as_json: bool,
) -> int:
    started = ask("operations.send_many", stations=stations, confirm=confirm, per_second=per_second, **given)
    until = time.monotonic() + wait
    ends = [_ended(result, until) for result in started["results"]]
    if as_json:
        show.as_json({"batch": started["batch"], "results": ends})
    else:
        rows = [
            {**end, "state": end.get("state", "refused"), "said": end.get("error_text") or end.get("error")}
            for end in ends
        ]
        show.table(rows, ("station", "state", "said", "id"), "No station.")
    return max(status_of(end) for end in ends)


def _ended(result: dict[str, Any], until: float) -> dict[str, Any]:
    """An operation's record when it has ended, or as it is then; what was refused stays as it is."""
    if result["operation"] is None:
        return result
    while True:
        left_s = max(0.0, until - time.monotonic())
        found: dict[str, Any] = ask("operations.show", operation=result["operation"], wait=min(left_s, MOST_WAIT_S))
        if found["final"] or left_s == 0:
            return found


def _payload(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text) if text else {}
    except json.JSONDecodeError as error:
        raise DomainError(f"no JSON: {error}", place="--payload", cure="Quote it for your shell") from None
    if not isinstance(value, dict):
        raise DomainError("a JSON object is needed", place="--payload", cure='Write it like {"type": "Soft"}')
    return value


def _members(action: str, members: tuple[str, ...]) -> dict[str, Any]:
    """``--type Soft`` and ``--type=Soft`` as members of the request, each of the kind that the action's schema says."""
    words = [part for word in members for part in (word.split("=", 1) if word.startswith("--") else [word])]
    if len(words) % 2 or any(not name.startswith("--") for name in words[::2]):
        raise DomainError("members are given as --name value", place="send", cure="For example: --type Soft")
    schema = ask("operations.describe", action=action)[0]["schema"].get("properties", {}) if words else {}
    found: dict[str, Any] = {}
    for name, text in zip(words[::2], words[1::2], strict=True):
        wire = re.sub(r"[-_](\w)", lambda letter: letter[1].upper(), name[2:])
        kind = schema.get(wire, {})
        if kind.get("type") == "array" and not text.startswith("["):
            found[wire] = [*found.get(wire, []), _value(text, kind.get("items", {}))]
        else:
            found[wire] = _value(text, kind)
    return found


def _value(text: str, kind: dict[str, Any]) -> Any:
    """A typed text as a member of this kind: an id tag of digits stays text."""
    if "enum" in kind or kind.get("type") == "string":
        return text
    if text[:1] in "[{":
        return _payload(f'{{"value": {text}}}')["value"]
    value = parse_value(text)
    return value if isinstance(value, (bool, int, float, str)) else text


def status_of(found: dict[str, Any]) -> int:
    """0 where the station did what it was told, 8 where it did not, 9 where that is not known yet."""
    if not found.get("final", True):
        return 9
    return 0 if found.get("state") in DONE else 8


def told(found: dict[str, Any], *, as_json: bool = False) -> None:
    """Print how an operation ended, or its whole record as JSON."""
    if as_json:
        show.as_json(found)
        return
    click.echo(f"{found['action']} to {found['station']}: {found['state']}")
    for name in ("error_code", "error_text", "follow_up"):
        if found[name]:
            click.echo(f"  {name.replace('_', ' '):<11} {show.plain(found[name])}")
    if found["answer"] not in (None, {}, {"status": found["state"]}):
        click.echo(f"  answer      {show.plain(found['answer'])}")
    click.echo(f"  operation   {found['id']}")


@click.group()
def operations() -> None:
    """Operations: list, show, cancel, describe."""


@operations.command("list")
@click.option("--station", help="Only to this station.")
@click.option("--action", help="Only of this action.")
@click.option("--state", help="Only in this state.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@show.json_option
def list_(station: str | None, action: str | None, state: str | None, limit: int, as_json: bool) -> None:
    """List operations, the latest first."""
    found = ask("operations.list", station=station, action=action, state=state, limit=limit)
    if as_json:
        show.as_json(found)
        return
    show.table(found, ("id", "station", "action", "state", "created_at", "follow_up", "error_text"), "No operation.")


@operations.command("show")
@click.argument("operation")
@click.option("--wait", type=click.FloatRange(0, 600), default=0.0, help="Seconds to wait for its end.")
@show.json_option
def show_(operation: str, wait: float, as_json: bool) -> None:
    """Show one operation."""
    found = ask("operations.show", operation=operation, wait=wait)
    if as_json:
        show.as_json(found)
    else:
        show.record(found)


@operations.command()
@click.argument("operation")
@show.json_option
def cancel(operation: str, as_json: bool) -> None:
    """End an operation that was not sent yet."""
    found = ask("operations.cancel", operation=operation)
    if as_json:
        show.as_json(found)
    else:
        click.echo(f"{found['id']} is {found['state']}.")


@operations.command()
@click.argument("action", required=False)
@show.json_option
def describe(action: str | None, as_json: bool) -> None:
    """Show what stations can be told, and what each request is made of."""
    found = ask("operations.describe", action=action)
    if as_json:
        show.as_json(found)
        return
    if action is None:
        show.table(found, ("action", "summary"), "No plugin declares an operation.")
        return
    click.echo(f"{found[0]['action']}: {found[0]['summary']}")
    schema = found[0]["schema"]
    rows = [
        {
            "member": name,
            "needed": name in schema["required"],
            "kind": _kind(told),
            "meaning": told.get("description", ""),
        }
        for name, told in schema.get("properties", {}).items()
    ]
    show.table(rows, ("member", "needed", "kind", "meaning"), "The request has no members.")


def _kind(told: dict[str, Any]) -> str:
    if "enum" in told:
        return " | ".join(map(str, told["enum"]))
    if "anyOf" in told:
        return " | ".join(_kind(one) for one in told["anyOf"])
    return str(told.get("type") or told.get("$ref", "").rpartition("/")[2] or "value")
