"""Operations on their way: one line for each station, a row before every frame, one end for every row.

What is asked for is stored, waits its turn, is marked as sent before its frame leaves, and ends once. What a crash
leaves as sent is never sent again, unless its operation says that this is safe.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from arthexis import payloads
from arthexis.charging import operations as rows
from arthexis.charging import stations
from arthexis.charging.ids import folded, uuid7
from arthexis.charging.operations import Draft, Outcome, Queued
from arthexis.contributions import Asked, Ended, FollowUp, Message, Operation, Seen
from arthexis.db import events
from arthexis.db.events import Event, Told
from arthexis.db.statements import Connection
from arthexis.errors import ArthexisError, DomainError, NotFound, PluginError, Unavailable
from arthexis.ocppj.calls import CallFailed
from arthexis.ocppj.repair import Unmendable, mend
from arthexis.plugins.contain import attempt, fits, kind, outcome, told
from arthexis.plugins.states import Plugin
from arthexis.validation import whole_numbers

if TYPE_CHECKING:
    from arthexis.host import Host
    from arthexis.ocppj.link import Link

log = logging.getLogger("arthexis.operations")

QUIET_S: Final = 10.0
"""For so long a station that has just connected may say something before it is told anything."""

AGAIN_S: Final = 1.0
PREPARE_S: Final = 5.0
TRIES: Final = 600
MOST_QUEUED: Final = 1_000
MOST_SAID: Final = 200
MESSAGE: Final = "message"
NOT_YET: Final = Outcome(rows.QUEUED)
"""In the place of an end: the socket was gone before the frame left, and the operation may wait."""
HIDDEN: Final = b"***"
SHORTEST_SECRET: Final = 8


@dataclass(frozen=True, slots=True)
class Declared:
    """An operation, whose it is, and the messages that its protocol has for it."""

    plugin: Plugin
    operation: Operation
    message: Message

    @property
    def label(self) -> str:
        """What it is called among the hooks of its plugin."""
        return f"operation {self.operation.name}"


@dataclass(frozen=True, slots=True)
class Wish:
    """How an operation is to be sent; times are aware, ``queue_until`` None means only to a station that is there."""

    priority: int = 0
    queue_until: datetime | None = None
    expires_at: datetime | None = None
    send_after: datetime | None = None
    requested_by: str = "node"
    batch: str | None = None


class _Followed:
    """An operation of which something is awaited: from before its frame leaves, because a station may be quick.

    ``until`` is None as long as it is not answered; what is seen by then is kept as ``early``.
    """

    __slots__ = ("declared", "early", "payload", "queued", "timer", "until")

    def __init__(self, declared: Declared, queued: Queued) -> None:
        self.declared = declared
        self.queued = queued
        self.payload = msgspec.json.decode(queued.draft.payload)
        self.until: datetime | None = None
        self.early: Seen | None = None
        self.timer: asyncio.TimerHandle | None = None

    @property
    def follow_up(self) -> FollowUp:
        found = self.declared.operation.follow_up
        if found is None:
            raise LookupError(f"{self.declared.operation.name} leads to nothing")
        return found


class _Line:
    """The queued operations of one station, in their order, and the task that sends them."""

    __slots__ = ("heap", "task", "woken")

    def __init__(self) -> None:
        self.heap: list[tuple[tuple[int, int], Queued]] = []
        self.woken = asyncio.Event()
        self.task: asyncio.Task[Any] | None = None


class Operations:
    """All operations of a node."""

    def __init__(self, host: Host) -> None:
        """Know what plugins declare; nothing is sent before ``start``."""
        self._host = host
        self._lines: dict[str, _Line] = {}
        self._waiters: dict[str, list[asyncio.Future[None]]] = {}
        self._followed: dict[str, list[_Followed]] = {}
        self._under_way: dict[int, _Followed] = {}
        self.declared: dict[str, Declared] = {}
        for plugin, operation in host.composition.operations:
            dialect = host.dialects.get(operation.protocol)
            message = dialect.messages.get(operation.name) if dialect is not None else None
            if message is not None:
                self.declared[operation.name] = Declared(plugin, operation, message)

    async def start(self) -> None:
        """Take up what an earlier run of the node left: nothing that was sent is sent again by itself."""
        host = self._host
        await self._take_up()
        for queued in await host.database.read(rows.sent):
            declared = self.declared.get(queued.draft.action)
            if declared is None or not declared.operation.resend or queued.draft.queue_until is None:
                log.warning("operation %s was sent and its answer is unknown", queued.uid)
                await self._end(queued, Outcome(rows.SENT_UNKNOWN))
            else:
                await host.journal.write(partial(rows.send_again, row=queued.id))
        for queued in await host.database.read(rows.waiting):
            if queued.draft.queue_until is None:
                await self._end(queued, Outcome(rows.STATION_GONE, error_text="the node was restarted"))
            else:
                self._put(queued)

    # ------------------------------------------------------------------ asking

    async def send(self, station: str, action: str, payload: Mapping[str, Any], wish: Wish | None = None) -> str:
        """Queue an operation for a station; its uid. Raises ``DomainError`` where it can never be sent."""
        wish = wish or Wish()
        declared = self._known(action)
        found = await self._host.database.read(lambda db: stations.required(db, station))
        self._check(declared, found, wish)
        asked = Asked(self._host, found.row, found.identity, dict(payload), wish.requested_by)
        if declared.operation.prepare is not None:
            work, label = declared.operation.prepare, declared.label
            more, error = await self._host.contain.timed(
                PREPARE_S, declared.plugin, work, asked, hook=label, unsound=payloads.no_members
            )
            if error is not None:
                raise _as_ours(error, declared.plugin)
            asked = replace(asked, payload={**asked.payload, **(more or {})})
        at = self._host.clock.now()

        def store(db: Connection) -> Queued:
            request, shown = _completed(db, declared, asked)
            if request != shown and wish.queue_until is not None:
                raise DomainError(
                    "a secret cannot wait", place="queue_until", cure="Send it when the station is connected"
                )
            draft = Draft(
                found.row,
                found.identity,
                action,
                shown,
                wish.requested_by,
                wish.priority,
                wish.send_after,
                wish.queue_until,
                wish.expires_at,
                wish.batch,
                request if request != shown else None,
            )
            return rows.add(db, draft, at)

        try:
            queued = await self._host.journal.write(store)
        except PluginError as broken:
            self._host.contain.count(declared.plugin, broken, declared.label)
            raise
        if declared.plugin.ailments:
            self._host.contain.worked(declared.plugin, declared.label)
        self._put(queued)
        return queued.uid

    async def send_many(
        self,
        identities: Iterable[str],
        action: str,
        payload: Mapping[str, Any],
        wish: Wish | None = None,
        *,
        per_second: float | None = None,
        confirm: int | None = None,
    ) -> dict[str, Any]:
        """Queue one operation for many stations, so many a second; the batch's uid and a result for each station.

        A station that is named twice, in whatever spelling, is one station and is told once.
        """
        spelled: dict[str, str] = {}
        for identity in identities:
            spelled.setdefault(folded(identity), identity)
        targets = list(spelled.values())
        declared = self._known(action)
        if declared.operation.dangerous and len(targets) > 1 and confirm != len(targets):
            raise DomainError(
                f"{action} for {len(targets)} stations must be confirmed",
                place="operations",
                cure=f"Ask again with confirm={len(targets)} (on the command line: --confirm {len(targets)})",
            )
        wish = replace(wish or Wish(), batch=uuid7())
        start = self._host.clock.now()
        results: list[dict[str, Any]] = []
        for place, station in enumerate(targets):
            after = start + timedelta(seconds=place / per_second) if per_second else None
            try:
                uid = await self.send(station, action, payload, replace(wish, send_after=after or wish.send_after))
                results.append({"station": station, "operation": uid})
            except ArthexisError as refused:
                results.append({"station": station, "operation": None, "error": refused.problem, "cure": refused.cure})
        return {"batch": wish.batch, "results": results}

    async def wait(self, uid: str, seconds: float) -> dict[str, Any]:
        """The operation's record when it has ended, or as it is after so many seconds; raises ``NotFound``."""
        done: asyncio.Future[None] = self._host.loop.create_future()
        self._waiters.setdefault(uid, []).append(done)
        try:
            record = await self.get(uid)
            if not record["final"] and seconds > 0:
                await asyncio.wait([done], timeout=seconds)
                record = await self.get(uid)
            return record
        finally:
            self._forget_waiter(uid, done)

    async def get(self, uid: str) -> dict[str, Any]:
        """The operation's record; raises ``NotFound``."""
        return await self._host.database.read(lambda db: rows.get(db, uid))

    async def of_batch(self, batch: str) -> list[dict[str, Any]]:
        """The records of the operations that were sent together, or under a name of the sender's own."""
        return await self._host.database.read(lambda db: rows.rows(db, batch=batch, limit=1000))

    async def cancel(self, uid: str) -> dict[str, Any]:
        """End an operation that was not sent yet; raises ``DomainError`` if it was."""
        record = await self.get(uid)
        rows.check_open(record)
        line = self._lines.get(folded(record["station"]))
        for _, queued in list(line.heap) if line is not None else ():
            if queued.uid == uid and await self._end(queued, Outcome(rows.CANCELLED)):
                self._take_out(folded(record["station"]), queued)
                return await self.get(uid)
        record = await self.get(uid)
        rows.check_open(record)
        raise DomainError(f"operation {uid} is being sent", place="operations", cure="See how it ends")

    def describe(self, action: str) -> dict[str, Any]:
        """An operation for people: its summary and the JSON Schema of its request with the help for each member."""
        declared = self._known(action)
        operation = declared.operation
        return {
            "action": action,
            "summary": operation.summary,
            "plugin": declared.plugin.full_name,
            "queues": operation.queues,
            "dangerous": operation.dangerous,
            "schema": payloads.schema(operation, declared.message),
        }

    def check_payload(self, action: str, payload: Mapping[str, Any]) -> None:
        """Refuse a payload that no station can be sent: ``Invalid``, or the ``DomainError`` of the action's check."""
        declared = self._known(action)
        payloads.check(declared.operation, declared.message, payload)
        request = payloads.whole(declared.message, payload)
        if request is not None and declared.operation.check is not None:
            _, error = attempt(declared.operation.check, request)
            if error is not None:
                raise _as_ours(error, declared.plugin)

    def _known(self, action: str) -> Declared:
        found = self.declared.get(action)
        if found is not None and not found.plugin.standing:
            raise Unavailable(
                f"plugin {found.plugin.name} failed", place=action, cure=f"arthexis plugins info {found.plugin.name}"
            )
        if found is not None and self._host.contain.rests(found.plugin, found.label):
            raise Unavailable(
                f"{found.label} is suspended, because plugin {found.plugin.name} failed again and again",
                place=action,
                cure=f"It is tried again in a while; at once: arthexis plugins resume {found.plugin.name}",
            )
        if found is None:
            near = get_close_matches(action, self.declared, 1)
            names = ", ".join(sorted(self.declared)) or "none: no plugin declares one"
            cure = f"Did you mean {near[0]}?" if near else f"There are {names}"
            raise NotFound(f"no operation {action}", place="operations", cure=cure)
        return found

    def _check(self, declared: Declared, found: stations.Found, wish: Wish) -> None:
        """Refuse what must not be sent to this station, or not in this way."""
        name = declared.operation.name
        if wish.queue_until is not None and not declared.operation.queues:
            raise DomainError(
                f"{name} never waits for a station", place="queue_until", cure="Send it when the station is connected"
            )
        if found.registration == "Rejected":
            raise DomainError(
                f"station {found.identity} is rejected",
                place="operations",
                cure=f"Run: arthexis stations approve {found.identity}",
            )
        if found.registration == "Pending" and not declared.operation.while_pending:
            raise DomainError(
                f"station {found.identity} is Pending, and {name} is not allowed then (OCPP 1.6 §4.2)",
                place="operations",
                cure=f"Run: arthexis stations approve {found.identity}",
            )
        line = self._lines.get(folded(found.identity))
        if line is not None and len(line.heap) >= MOST_QUEUED:
            raise Unavailable(f"{MOST_QUEUED} operations wait for {found.identity}", cure="Cancel some of them")

    # ------------------------------------------------------------------ sending

    def wake(self, identity: str) -> None:
        """Something has changed for this station: it came, went, or said its first word."""
        line = self._lines.get(folded(identity))
        if line is not None:
            line.woken.set()

    def _put(self, queued: Queued) -> None:
        key = folded(queued.draft.station)
        line = self._lines.setdefault(key, _Line())
        heapq.heappush(line.heap, (queued.order, queued))
        line.woken.set()
        if line.task is None:
            line.task = self._host.spawn(self._work(key, line), f"operations of {queued.draft.station}")

    def _take_out(self, key: str, queued: Queued) -> None:
        line = self._lines.get(key)
        if line is not None:
            line.heap = [entry for entry in line.heap if entry[1] is not queued]
            heapq.heapify(line.heap)
            line.woken.set()

    async def _work(self, key: str, line: _Line) -> None:
        """Send what is in a line until it is empty; what goes wrong on the way is tried again."""
        try:
            while line.heap:
                line.woken.clear()
                _, error = await outcome(self._turn, key, line)
                if error is not None:
                    log.error("operations of %s wait: %s", key, error, exc_info=error)
                    await asyncio.sleep(AGAIN_S)
        finally:
            line.task = None
            if self._lines.get(key) is line and not line.heap:
                del self._lines[key]

    async def _turn(self, key: str, line: _Line) -> None:
        """Send the next one, or wait until there may be one to send."""
        now = self._host.clock.now()  # one for both: a moment between two would be neither past nor waited for
        await self._expire(key, line, now)
        queued, pause_s = self._due(key, line, now)
        if queued is not None:
            await self._one(key, queued)
        elif line.heap:
            await _woken_within(line.woken, pause_s)

    async def _expire(self, key: str, line: _Line, now: datetime) -> None:
        """End what is too late, and what does not wait for a station that is not there."""
        for _, queued in list(line.heap):
            outcome = self._too_late(self._host.links.get(key), queued, now)
            if outcome is not None:
                self._take_out(key, queued)
                await self._end(queued, outcome)

    def _too_late(self, link: Link | None, queued: Queued, now: datetime) -> Outcome | None:
        """How an operation ends that cannot wait any longer; None if it can."""
        draft = queued.draft
        hindered = link is None or self._withheld(link, queued)
        if _past(draft.expires_at, now) or (_past(draft.queue_until, now) and hindered):
            return Outcome(rows.EXPIRED)
        if not hindered or draft.queue_until is not None or not _past_or_none(draft.send_after, now):
            return None
        if link is None:
            return Outcome(rows.STATION_GONE, error_text="the station is not connected")
        return Outcome(rows.ERROR, error_text=f"not sent: the station's registration is {link.station.registration}")

    def _withheld(self, link: Link, queued: Queued) -> bool:
        """Whether the station's registration, as it is now, forbids to tell it this (OCPP 1.6 §4.2)."""
        if link.station.registration == "Pending":
            declared = self.declared.get(queued.draft.action)
            return declared is not None and not declared.operation.while_pending
        return link.station.registration == "Rejected"

    def _due(self, key: str, line: _Line, now: datetime) -> tuple[Queued | None, float]:
        """What may be sent now, or for how long to wait until something may change by itself."""
        moments = [m for _, q in line.heap for m in (q.draft.send_after, q.draft.queue_until, q.draft.expires_at) if m]
        pause_s = min(((m - now).total_seconds() for m in moments if m > now), default=3600.0)
        link = self._host.links.get(key)
        if link is None:
            return None, pause_s
        quiet_s = 0.0 if link.spoken else link.opened + QUIET_S - self._host.loop.time()
        if quiet_s > 0:
            return None, min(pause_s, quiet_s)
        due = [entry for entry in line.heap if _past_or_none(entry[1].draft.send_after, now)]
        ready = [entry for entry in due if not self._withheld(link, entry[1])]
        if ready:
            return min(ready)[1], 0.0
        return None, min(pause_s, AGAIN_S) if due else pause_s

    async def _one(self, key: str, queued: Queued) -> None:
        """Send one operation and end it."""
        self._take_out(key, queued)
        link = self._host.links.get(key)
        if link is None:
            await self._end(queued, Outcome(rows.STATION_GONE, error_text="the station is not connected"))
            return
        outcome = await self._sent(link, queued)
        if outcome is NOT_YET:
            self._put(queued)
        elif outcome is not None:
            await self._end(queued, outcome)

    async def _sent(self, link: Link, queued: Queued) -> Outcome | None:
        """How the station took it; ``NOT_YET`` if it may wait for another socket, None if it was ended meanwhile."""
        declared = self.declared.get(queued.draft.action)
        marked = False

        async def mark() -> None:
            nonlocal marked
            at = self._host.clock.now()
            if not await self._host.journal.write(lambda db: rows.mark_sent(db, queued.id, at)):
                raise _Ended
            marked = True
            self._watch(declared, queued)

        hide = _hiding(declared, queued.draft)
        try:
            raw = await link.calls.exchange(
                queued.draft.action,
                msgspec.Raw(queued.draft.request),
                shown=msgspec.Raw(queued.draft.payload),
                message_id=queued.uid,
                timeout_s=declared.operation.timeout_s if declared is not None else None,
                before=mark,
                shown_answer=hide,
            )
        except _Ended:
            return None
        except Unavailable as failure:
            return Outcome(rows.ERROR, error_text=f"not sent: {failure.problem}")
        except CallFailed as failure:
            if not marked and queued.draft.queue_until is not None:
                return NOT_YET
            said = failure.problem if hide is None else hide(failure.problem.encode()).decode("utf-8", "replace")
            return Outcome(failure.outcome, error_code=failure.error_code, error_text=said)
        return Outcome(rows.ANSWERED, raw)

    # ------------------------------------------------------------------ ending

    async def _end(self, queued: Queued, outcome: Outcome) -> bool:
        """Store how an operation ended, together with what its plugin makes of it; tried for ten minutes."""
        declared = self.declared.get(queued.draft.action)
        at = self._host.clock.now()
        answer = None
        if outcome.state == rows.ANSWERED and declared is not None:
            answer, outcome = self._understood(declared, queued, outcome)
            hide = _hiding(declared, queued.draft)
            if hide is not None and outcome.answer is not None:
                outcome = replace(outcome, answer=hide(outcome.answer))
        outcome = self._awaiting(declared, outcome, at)
        store = partial(self._store, queued=queued, outcome=outcome, declared=declared, answer=answer, at=at)
        changed = await self._stored(queued, store)
        self._follow(queued, outcome.follow_up_until if changed else None)
        for waiter in self._waiters.pop(queued.uid, ()):
            if not waiter.done():
                waiter.set_result(None)
        return changed

    async def _stored(self, queued: Queued, store: Callable[[Connection], bool]) -> bool:
        for _ in range(TRIES):
            try:
                return await self._host.journal.write(store)
            except Unavailable as failure:
                log.error("the end of operation %s waits to be stored: %s", queued.uid, failure)
                await asyncio.sleep(AGAIN_S)
        return False

    def _store(
        self, db: Connection, *, queued: Queued, outcome: Outcome, declared: Declared | None, answer: Any, at: datetime
    ) -> bool:
        changed = rows.finish(db, queued, outcome, at)
        finished = declared.operation.finished if declared is not None else None
        if changed and declared is not None and finished is not None:
            payload = msgspec.json.decode(queued.draft.request)
            draft, left = queued.draft, rows.left(db, queued.id)
            ended = Ended(self._host, draft.station_id, draft.station, payload, outcome.state, answer, at, left)
            _, error = db.apart(lambda inner: finished(inner, ended))
            if error is not None:
                db.afterward(partial(self._host.contain.count, declared.plugin, error, declared.label))
        return changed

    def _understood(self, declared: Declared, queued: Queued, outcome: Outcome) -> tuple[Any, Outcome]:
        """The station's answer as its Struct, mended where needed; its own word becomes the state."""
        raw, response = outcome.answer or b"{}", declared.message.response
        repairs: tuple[str, ...] = ()
        try:
            answer = msgspec.json.decode(raw, type=response)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, ValueError):
            try:
                protocol = self._host.dialects[declared.operation.protocol].protocol
                mended = mend(raw, response, protocol, unrefusable=False)
            except Unmendable as unmendable:
                return None, Outcome(rows.ERROR, raw, "InvalidAnswer", f"invalid answer: {unmendable.detail}")
            answer, repairs = mended.value, mended.repairs
        state = getattr(answer, "status", rows.ANSWERED)
        return answer, Outcome(state if isinstance(state, str) else rows.ANSWERED, raw, repairs=repairs)

    def _awaiting(self, declared: Declared | None, outcome: Outcome, at: datetime) -> Outcome:
        follow_up = declared.operation.follow_up if declared is not None else None
        if follow_up is None or outcome.state not in follow_up.after:
            return outcome
        return replace(outcome, follow_up="awaited", follow_up_until=at + timedelta(seconds=follow_up.within_s))

    def _forget_waiter(self, uid: str, done: asyncio.Future[None]) -> None:
        waiting = self._waiters.get(uid)
        if waiting is not None and done in waiting:
            waiting.remove(done)
            if not waiting:
                del self._waiters[uid]

    # ------------------------------------------------------------------ what comes of it

    async def _take_up(self) -> None:
        """Look on for what was awaited, and at what happened last: the note of it may have died with the node."""
        asked = await self._host.database.read(rows.followed)
        for queued, record in asked:
            self._watch(self.declared.get(queued.draft.action), queued)
            self._follow(queued, record["follow_up_until"])
        since = {queued.id: record["sent_at"] for queued, record in asked}
        for event in await self._host.database.read(events.latest) if asked else ():
            self._see(event, since)

    def _watch(self, declared: Declared | None, queued: Queued) -> None:
        """Look for what an operation leads to, from now on."""
        if declared is not None and declared.operation.follow_up is not None:
            self._under_way[queued.id] = followed = _Followed(declared, queued)
            self._followed.setdefault(queued.draft.station, []).append(followed)
            self._expect(queued.draft.station)

    def _follow(self, queued: Queued, until: datetime | None) -> None:
        """An operation was answered: go on looking until then, or no more."""
        followed = self._under_way.pop(queued.id, None)
        if followed is None:
            return
        if until is None:
            self._forget(followed)
            return
        followed.until = until
        left_s = max(0.0, (until - self._host.clock.now()).total_seconds())
        followed.timer = self._host.loop.call_later(left_s, self._missed, followed)
        if followed.early is not None:
            self._note(followed, followed.early)

    def _expect(self, station: str) -> None:
        """Ask the station's link to tell of answered CALLs, if something awaits one."""
        link = self._host.links.get(folded(station))
        if link is not None:
            wanted = any(MESSAGE in f.follow_up.kinds for f in self._followed.get(station, ()))
            link.expects = self.message if wanted else None

    def connected(self, link: Link) -> None:
        """A station came: what waits for it may be sent, what it says may be awaited."""
        self.wake(link.station.id)
        self._expect(link.station.id)

    def committed(self, told: Told) -> None:
        """Events were stored: some may be what an operation led to."""
        if self._followed:
            for event in told.events():
                if event.station in self._followed:
                    self._see(event)

    def message(self, station: str, action: str) -> None:
        """A station's CALL was answered."""
        at = self._host.clock.now()
        self._see(Event(0, MESSAGE, station, at, {"action": action}))

    def _see(self, event: Event, since: Mapping[int, datetime] | None = None) -> None:
        """Give an event to the operation that led to it, or to all that share it: the sure ones first, then the oldest.

        ``since`` is when each of them was sent, for events that are read again.
        """
        found = [
            (followed, seen)
            for followed in self._followed.get(event.station or "", ())
            if since is None or since[followed.queued.id] <= event.at
            if (seen := self._fits(followed, event)) is not None
        ]
        for followed, seen in sorted(found, key=lambda pair: not pair[1].sure):
            if followed.until is not None:
                self._note(followed, seen)
            elif followed.early is None or not followed.early.done:
                followed.early = seen
            if seen.done and not seen.shared:
                break

    def _fits(self, followed: _Followed, event: Event) -> Seen | None:
        """What an event means to an operation; None if nothing."""
        if event.kind not in followed.follow_up.kinds or (followed.early is not None and followed.early.done):
            return None
        seen, error = attempt(followed.follow_up.fits, followed.payload, event)
        if error is None and seen is not None and not fits(seen, Seen):
            error = TypeError(f"fits answered {kind(seen)} instead of Seen")
        if error is not None:
            self._host.contain.count(followed.declared.plugin, error, followed.declared.label)
        return seen if fits(seen, Seen) else None

    def _missed(self, followed: _Followed) -> None:
        self._note(followed, Seen(followed.follow_up.missing))

    def _note(self, followed: _Followed, seen: Seen) -> None:
        at, row = self._host.clock.now(), followed.queued.id
        until = None if seen.done else followed.until
        self._host.journal.note(lambda db: rows.follow(db, row, seen.said, at, until))
        if seen.done:
            self._forget(followed)

    def _forget(self, followed: _Followed) -> None:
        """Look for nothing more that comes of this one."""
        station = followed.queued.draft.station
        if followed.timer is not None:
            followed.timer.cancel()
        left = [other for other in self._followed.get(station, ()) if other is not followed]
        if left:
            self._followed[station] = left
        else:
            self._followed.pop(station, None)
        self._expect(station)


class _Ended(Exception):
    """The operation was cancelled or ended before its frame left."""


def _completed(db: Connection, declared: Declared, asked: Asked) -> tuple[bytes, bytes]:
    """The request as it goes over the wire (filled in, checked, in the schema's order), and as it may be kept."""
    operation = declared.operation
    payload = dict(asked.payload)
    if operation.fill is not None:
        fill = operation.fill
        more, error = attempt(fill, db, asked)
        if error is None and (junk := payloads.no_members(more)) is not None:
            error = TypeError(f"fill answered {junk}")
        if error is not None:
            raise _as_ours(error, declared.plugin)
        payload.update(more or {})
    try:
        request = msgspec.convert(whole_numbers(payload), declared.message.request)
    except msgspec.ValidationError as wrong:
        payloads.check(operation, declared.message, asked.payload)
        raise DomainError(
            f"the payload of {operation.name} could not be completed: {wrong}",
            place=f"{operation.name} payload",
            cure="Give what is missing yourself",
        ) from None
    if operation.check is not None:
        _, error = attempt(operation.check, request)
        if error is not None:
            raise _as_ours(error, declared.plugin)
    encoded = msgspec.json.encode(request)
    if operation.shown is None:
        return encoded, encoded
    shown, error = attempt(operation.shown, msgspec.json.decode(encoded))
    if error is not None or shown is None:
        raise _as_ours(error or TypeError("shown returned nothing"), declared.plugin)
    return encoded, msgspec.json.encode(shown)


def _hiding(declared: Declared | None, draft: Draft) -> Callable[[bytes], bytes] | None:
    """What takes out of an answer what must not be kept: secrets of the request, and what the operation masks."""
    mask = declared.operation.shown_answer if declared is not None else None
    secrets = (
        _texts(msgspec.json.decode(draft.secret)) - _texts(msgspec.json.decode(draft.payload)) if draft.secret else ()
    )
    if mask is None and not secrets:
        return None

    def hide(raw: bytes) -> bytes:
        for secret in secrets:
            raw = re.sub(re.escape(secret.encode()), HIDDEN, raw, flags=re.IGNORECASE)
        shown, error = attempt(mask, raw) if mask is not None else (raw, None)
        return shown if error is None and shown is not None else HIDDEN

    return hide


def _texts(value: Any) -> set[str]:
    """Every text within a JSON value that is long enough to be a secret."""
    if isinstance(value, str):
        return {value} if len(value) >= SHORTEST_SECRET else set()
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return {text for part in parts for text in _texts(part)}


def _as_ours(error: BaseException, plugin: Plugin) -> ArthexisError:
    """What a plugin raised, as an error of ours."""
    if isinstance(error, ArthexisError):
        return error
    return PluginError(
        told(error)[:MOST_SAID], place=f"plugin {plugin.name}", cure=f"arthexis plugins info {plugin.name}"
    )


def _past(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and moment <= now


def _past_or_none(moment: datetime | None, now: datetime) -> bool:
    return moment is None or moment <= now


async def _woken_within(woken: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await woken.wait()
    except TimeoutError:
        return
