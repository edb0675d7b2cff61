"""The roll-out: a durable job that asks stations wave by wave, and what keeps it going.

A part is marked, then its request is made under the part's own name, then the rest is told by events. So a node that
dies in between finds, at its next start, whether the request was made, and makes none twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

import msgspec

from arthexis import Connection, Context, DomainError, Event, NotFound, Unavailable, Wish, parse_utc
from arthexis_files import deployments, locations, store, tokens
from arthexis_files.deployments import Turn
from arthexis_files.settings import Settings

JOB: Final = "files.roll_out"
LOOK_S: Final = 15.0
AGAIN_S: Final = 10.0


class RollOuts:
    """Drives the deployments of this node; ``ftp_port`` is where FTP listens."""

    def __init__(self, ctx: Context) -> None:
        """Belong to this node."""
        self._ctx = ctx
        self._host = ctx.host
        self._settings: Settings = ctx.config
        self._locks: dict[str, asyncio.Lock] = {}
        self.ftp_port = self._settings.ftp_port

    def put(self, db: Connection, uid: str, run_at: datetime | None = None) -> None:
        """Have a deployment looked at, now or then."""
        self._host.jobs.put(db, JOB, {"deployment": uid}, run_at=run_at, key=uid)

    async def run(self, uid: str) -> None:
        """Go on with a deployment as far as that is possible now."""
        async with self._locks.setdefault(uid, asyncio.Lock()):
            await self._recover(uid)
            row, turns = await self._ctx.journal.write(lambda db: self._decide(db, uid))
            for turn in turns:
                await self._ask(uid, turn, row)

    async def _recover(self, uid: str) -> None:
        """Parts that were marked before the node died: link the request that was made, or let them wait again."""
        row = await self._host.database.read(lambda db: deployments.get(db, uid))
        for turn in await self._host.database.read(lambda db: deployments.asking(db, row["id"])):
            records = await self._host.operations.of_batch(turn.uid)
            at = self._ctx.clock.now()
            if not records:
                await self._ctx.journal.write(
                    partial(deployments.move, number=turn.target, state=deployments.WAITING, at=at)
                )
            elif records[0]["final"]:
                await self._ctx.journal.write(partial(deployments.answered, uid=turn.uid, record=records[0], at=at))
            else:
                await self._ctx.journal.write(partial(self._asked, turn=turn, operation=records[0]["id"]))

    def _decide(self, db: Connection, uid: str) -> tuple[Mapping[str, Any], list[Turn]]:
        """Look at a deployment: what is overdue, whether it stops, pauses or is done, and whose turn it is."""
        row, at = deployments.get(db, uid), self._ctx.clock.now()
        deployments.overdue(db, row, at)
        many_open, waiting = deployments.unfinished(db, row)
        turns: list[Turn] = []
        if row["state"] == deployments.RUNNING:
            reason = deployments.failures(db, row)
            if not many_open and not waiting:
                deployments.change(db, row, deployments.DONE, at)
                return row, []
            if reason is not None:
                deployments.change(db, row, deployments.STOPPED, at, reason)
            elif not many_open:
                turns = self._begin_wave(db, row, waiting, at)
            else:
                back = [part for part in waiting if part["wave"] == row["wave"]]
                turns = deployments.ask_now(db, row, back, frozenset(self._host.links), at, row["wave"])
        if many_open or turns or waiting:
            moments = [row["next_wave_at"]] if row["next_wave_at"] is not None and row["next_wave_at"] > at else []
            self.put(db, uid, min([*moments, at + timedelta(seconds=LOOK_S)]))
        return row, turns

    def _begin_wave(
        self, db: Connection, row: dict[str, Any], waiting: list[dict[str, Any]], at: datetime
    ) -> list[Turn]:
        """The next wave, unless the pause after the one before is not over."""
        if row["wave"] and row["pause_s"] and row["next_wave_at"] is None:
            deployments.waits_until(db, row, at, row["pause_s"])
            row["next_wave_at"] = at + timedelta(seconds=row["pause_s"])
        if row["next_wave_at"] is not None and row["next_wave_at"] > at:
            return []
        return deployments.ask_now(db, row, waiting, frozenset(self._host.links), at, row["wave"] + 1)

    async def _ask(self, uid: str, turn: Turn, row: Mapping[str, Any]) -> None:
        """Make the request to one station, under its part's own name."""
        text = tokens.fresh()
        try:
            payload = await self._ctx.journal.write(lambda db: self._request(db, turn, row, text))
            wish = Wish(batch=turn.uid, requested_by=f"deployment {uid}")
            operation = await self._host.operations.send(turn.station, deployments.ACTIONS[row["kind"]], payload, wish)
        except (DomainError, Unavailable) as refused:
            problem, later = refused.problem, isinstance(refused, Unavailable)
            await self._ctx.journal.write(lambda db: self._refused(db, uid, turn, problem, later=later))
            return
        await self._ctx.journal.write(lambda db: self._asked(db, turn, operation))

    def _request(self, db: Connection, turn: Turn, row: Mapping[str, Any], text: str) -> dict[str, Any]:
        """The request to a station, with a location that its new token opens."""
        at = self._ctx.clock.now()
        if not deployments.is_asking(db, turn.target):
            raise DomainError("it was cancelled", place=f"deployment {row['uid']}", cure="Deploy it anew")
        payload: dict[str, Any] = msgspec.json.decode(row["payload"])
        scheme = locations.scheme_for(self._ctx, db, turn.station_id, row["scheme"])
        login = locations.login_of(turn.station, turn.station_id)
        upload = row["kind"] == store.DIAGNOSTICS
        name = "" if upload else turn.file["name"] if turn.file is not None else None
        if name is None:
            raise DomainError("its file is gone", place=f"deployment {row['uid']}", cure="Add it and deploy it anew")
        fetched_from = max(at, _moment(payload.get("retrieveDate"), at))
        expires_at = fetched_from + timedelta(hours=self._settings.token_hours)
        uses = 1 if upload else self._settings.downloads
        tokens.add(db, text, turn.target, login, upload=upload, uses=uses, expires_at=expires_at)
        deadline = fetched_from + timedelta(minutes=self._settings.silence_minutes)
        deployments.move(db, turn.target, deployments.ASKING, at, deadline_at=deadline)
        payload["location"] = locations.location(self._ctx, scheme, login, text, name, self.ftp_port)
        return payload

    def _asked(self, db: Connection, turn: Turn, operation: str) -> None:
        deployments.asked(db, turn.target, operation, self._ctx.clock.now())

    def _refused(self, db: Connection, uid: str, turn: Turn, problem: str, *, later: bool) -> None:
        if not deployments.is_asking(db, turn.target):
            return
        at = self._ctx.clock.now()
        deployments.move(db, turn.target, deployments.WAITING if later else deployments.FAILED, at, problem)
        self.put(db, uid, at + timedelta(seconds=AGAIN_S if later else 0))

    # ------------------------------------------------------------------ what keeps it going

    async def heard(self, event: Event) -> None:
        """A station notified or booted, or a request to it ended: its part goes on, and the roll-out with it."""
        if event.kind == "operation.finished":
            await self._finished(event)
            return
        if event.kind == "station.booted":
            await self.arrived(event.station or "")
            return
        deadline = event.at + timedelta(minutes=self._settings.silence_minutes)

        def go_on(db: Connection) -> None:
            status = str(event.data["status"])
            if deployments.notified(db, event.station or "", event.kind, status, event.at, deadline):
                self._go_on(db, event.station or "")

        try:
            await self._ctx.journal.write(go_on)
        except NotFound:
            return

    async def _finished(self, event: Event) -> None:
        if event.data["action"] not in deployments.ACTIONS.values():
            return
        record = await self._host.operations.get(event.data["operation"])
        if record["batch"] is None:
            return

        def go_on(db: Connection) -> None:
            if deployments.answered(db, record["batch"], record, event.at):
                self._go_on(db, event.station or "")

        await self._ctx.journal.write(go_on)

    async def arrived(self, station: str) -> None:
        """A station booted: what waits for it may go on."""
        if await self._host.database.read(lambda db: deployments.of_station(db, station)):
            await self._ctx.journal.write(lambda db: self._go_on(db, station))

    def _go_on(self, db: Connection, station: str) -> None:
        """Look at every deployment that a station has, or had, a part in that may go on."""
        for uid in deployments.of_station(db, station):
            self.put(db, uid)


def _moment(text: str | None, otherwise: datetime) -> datetime:
    return (parse_utc(text) if text else None) or otherwise
