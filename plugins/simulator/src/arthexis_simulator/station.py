"""A simulated charge point over a real socket: what tests talk with and ``arthexis simulate`` runs by the dozen."""

from __future__ import annotations

import asyncio
import itertools
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from contextvars import Context
from datetime import datetime
from typing import Any

from aiohttp import ClientSession
from ocpp.v16 import call, call_result

from arthexis_simulator.answers import Script
from arthexis_simulator.car import Car, Meter, some_car
from arthexis_simulator.client import Client, log
from arthexis_simulator.clock import StationClock, text_of
from arthexis_simulator.configuration import Configuration
from arthexis_simulator.connectors import Connector, Reservation, Transaction
from arthexis_simulator.errors import CallError, ConnectionRefused, Disconnected, SimulatorError, Unanswered
from arthexis_simulator.faults import Fault, Faults
from arthexis_simulator.files import Files
from arthexis_simulator.local_list import LocalList
from arthexis_simulator.outbox import Outbox
from arthexis_simulator.profiles import TX, Profiles
from arthexis_simulator.session import Session
from arthexis_simulator.wire import Frame, Socket, calls, connect, station_url

FIRST_RETRY_S = 0.2
LONGEST_RETRY_S = 5.0
REBOOT_S = 2.0
MOST_W = 22_080.0
EXPECT_S = 5.0

Watch = Callable[[str, str, float], None]


class Station:
    """A charge point: its socket, its connectors and everything it was told.

    ``url`` is the central system's, ``key`` the Basic password (text or any bytes). ``reconnects`` makes it come back
    by itself; ``speed`` lets its time pass faster; ``watch(action, outcome, seconds)`` is told of every answer.
    ``log`` holds every frame both ways, in order.
    """

    def __init__(
        self,
        url: str,
        identity: str,
        *,
        key: str | bytes | None = None,
        connectors: int = 1,
        vendor: str = "Arthexis",
        model: str = "Simulator",
        protocols: Sequence[str] = ("ocpp1.6",),
        answer_timeout_s: float = 10.0,
        clock: StationClock | None = None,
        speed: float = 1.0,
        faults: Iterable[Fault] = (),
        seed: int | None = None,
        reconnects: bool = False,
        heartbeats: bool = False,
        keep_log: bool = True,
        watch: Watch | None = None,
    ) -> None:
        """Make one; ``await open()`` (or ``async with station(...)``) connects it."""
        self.identity = identity
        self.url = station_url(url, identity)
        self.key = key
        self.protocols = tuple(protocols)
        self.answer_timeout_s = answer_timeout_s
        self.clock = clock or StationClock(speed)
        self.rng = random.Random(seed)
        self.faults = Faults(list(faults), self.rng)
        self.reconnects = reconnects
        self.heartbeats = heartbeats
        self.watch = watch
        self.log: list[Frame] = []
        self.boot_fields = _boot_fields(identity, vendor, model)
        self.connectors = {n: Connector(n, self._meter()) for n in range(1, connectors + 1)}
        self.operative = True
        self.configuration = Configuration(connectors)
        self.profiles = Profiles()
        self.local_list = LocalList()
        self.cache: dict[str, str] = {}
        self.files = Files(self)
        self.outbox = Outbox(self)
        self.accepted = False
        self.reconnections = 0
        self.ready = asyncio.Event()
        self._keep_log = keep_log
        self._begin()

    def _begin(self) -> None:
        """What only the station itself touches."""
        self._client: Client | None = None
        self._latest: Socket | None = None
        self._http: ClientSession | None = None
        self._wanted = False
        self._scripts: dict[str, tuple[Script, itertools.count[int] | None, int]] = {}
        self._heard: defaultdict[str, asyncio.Queue[dict[str, Any]]] = defaultdict(asyncio.Queue)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._failures: list[BaseException] = []
        self._unsaid: set[int] = set()
        self._heart: asyncio.Task[Any] | None = None

    def _meter(self) -> Meter:
        return Meter(float(self.rng.randrange(10_000, 2_000_000)), rng=self.rng)

    # ------------------------------------------------------------------ the socket

    async def open(self) -> None:
        """Connect; raises ``ConnectionRefused``."""
        self._http = ClientSession()
        try:
            await self.connect()
        finally:
            if self._client is None:
                await self._http.close()
        self.spawn(self.outbox.run())

    async def close(self) -> None:
        """Disconnect for good and end everything; raises what a task of the station failed with."""
        self._wanted = False
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._latest is not None:
            await self._latest.close()
            self._latest.release()
        if self._http is not None:
            await self._http.close()
        if self._failures:
            raise self._failures[0]

    async def connect(self) -> None:
        """Open the socket (again); the registration and everything else is as it was. Raises ``ConnectionRefused``."""
        if self._http is None:
            raise RuntimeError("the station is not open: use it as a context manager, or open() it first")
        socket = await connect(
            self._http, self.url, user=self.identity, key=self.key, protocols=self.protocols, keep=self._keep
        )
        self._wanted = True
        self._latest = socket
        self._client = Client(self, socket)
        self._refresh()
        self.spawn(self._read(self._client))

    async def _read(self, client: Client) -> None:
        await client.start()
        if client is not self._client:
            return
        self._client = None
        self._refresh()
        if self._wanted and self.reconnects:
            await self._come_back()

    async def disconnect(self, code: int = 1000) -> None:
        """Close the socket politely and stay away until ``connect``."""
        self._wanted = False
        client = self._client
        if client is not None:
            await client.socket.close(code)
            await asyncio.wait({client.gone})

    async def reconnect(self) -> None:
        """Close the socket if it is open, and open a new one; raises ``ConnectionRefused``."""
        await self.disconnect()
        await self.connect()

    async def renew(self) -> None:
        """Come back on a new socket, with the key of now, and try until the central system takes it."""
        await self.disconnect()
        await self._come_back()

    async def drop(self) -> None:
        """Cut the connection as a dead network does; a station that ``reconnects`` will be back by itself."""
        client = self._client
        if client is not None:
            client.socket.abort()
            await asyncio.wait({client.gone})
            await asyncio.sleep(0)

    async def _come_back(self) -> None:
        """Connect again with growing pauses, until it works."""
        pause_s = FIRST_RETRY_S
        while True:
            await asyncio.sleep(pause_s * self.rng.uniform(0.8, 1.2))
            try:
                await self.connect()
            except ConnectionRefused as error:
                log.info("%s: %s", self.identity, error)
                pause_s = min(LONGEST_RETRY_S, pause_s * 2)
            else:
                self.reconnections += 1
                await self._say_unsaid()
                return

    @property
    def connected(self) -> bool:
        """Whether the socket is open."""
        return self._client is not None

    @property
    def client(self) -> Client:
        """The package's client on the open socket; raises ``Disconnected``."""
        if self._client is None:
            raise Disconnected
        return self._client

    @property
    def socket(self) -> Socket:
        """The open socket; raises ``Disconnected``."""
        return self.client.socket

    def _keep(self, frame: Frame) -> None:
        if self._keep_log:
            self.log.append(frame)
            if frame.direction == "<":
                self._hear(frame.message)

    def _hear(self, message: Any) -> None:
        if isinstance(message, list) and len(message) == 4 and message[0] == 2:
            self._heard[message[2]].put_nowait(message[3] or {})

    async def expect(self, action: str, timeout_s: float = EXPECT_S) -> dict[str, Any]:
        """The payload of the next CALL of this action by the central system; raises ``TimeoutError``."""
        async with asyncio.timeout(timeout_s):
            return await self._heard[action].get()

    def sent(self, action: str) -> list[dict[str, Any]]:
        """The payloads of all CALLs of this action that the station has sent, in order."""
        return calls(self.log, ">", action)

    def got(self, action: str) -> list[dict[str, Any]]:
        """The payloads of all CALLs of this action that the station was sent, in order."""
        return calls(self.log, "<", action)

    async def expect_sent(self, action: str, times: int = 1, timeout_s: float = EXPECT_S) -> dict[str, Any]:
        """Wait until the station has sent this action so often; the payload of the last. Raises ``TimeoutError``."""
        async with asyncio.timeout(timeout_s):
            while len(found := self.sent(action)) < times:
                await asyncio.sleep(0.01)
        return found[-1]

    def _refresh(self) -> None:
        if self._client is not None and self.accepted:
            self.ready.set()
        else:
            self.ready.clear()

    # ------------------------------------------------------------------ tasks and time

    def spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run something beside; it ends with the station, and what it fails with (but for the wire) is not lost."""
        task = asyncio.create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, SimulatorError):
            log.info("%s: %s", self.identity, error)
        elif error is not None:
            self._failures.append(error)

    def now(self) -> str:
        """The station's time as it writes it."""
        return text_of(self.clock.now())

    async def pause(self, seconds: float) -> None:
        """Let so many of the station's seconds pass."""
        await self.clock.pause(seconds)

    async def until(self, when: datetime) -> None:
        """Wait for a moment of the station's time."""
        await self.clock.until(when)

    # ------------------------------------------------------------------ CALLs

    async def ask(self, request: Any) -> Any:
        """Send a dataclass of ``ocpp.v16.call``; its answer as one of ``call_result``.

        Raises ``CallError``, ``Unanswered``, ``Disconnected`` and, where a schema is broken, ``InvalidAnswer``.
        """
        return await self._watched(type(request).__name__, self.client.ask(request))

    async def send(self, action: str, payload: Any = None, *, message_id: str | None = None) -> Any:
        """Send a CALL with any payload, even an invalid one; the payload of its CALLRESULT. Raises as ``ask`` does."""
        payload = {} if payload is None else payload
        return await self._watched(action, self.client.send(action, payload, message_id))

    async def say(self, text: str) -> None:
        """Send any text as a frame and wait for nothing; see ``log`` for what comes back."""
        await self.socket.send(text)

    async def say_broken(self, request: Any) -> None:
        """Send a request as a frame that is no JSON."""
        await self.client.say_broken(request)

    async def _watched(self, action: str, work: Coroutine[Any, Any, Any]) -> Any:
        began, outcome = time.perf_counter(), "answered"
        try:
            return await work
        except CallError as error:
            outcome = error.code
            raise
        except Unanswered:
            outcome = "unanswered"
            raise
        except (Disconnected, asyncio.CancelledError):
            outcome = ""
            raise
        finally:
            if self.watch is not None and outcome:
                self.watch(action, outcome, time.perf_counter() - began)

    async def persist(self, request: Any) -> Any:
        """As ``ask``, but wait for the connection, and ask again where it was lost."""
        while True:
            await self.ready.wait()
            try:
                return await self.ask(request)
            except Disconnected:
                await asyncio.sleep(0)

    # ------------------------------------------------------------------ the usual messages

    async def boot(self, *, vendor: str | None = None, model: str | None = None, **fields: Any) -> Any:
        """Send a BootNotification; ``fields`` are those of ``ocpp.v16.call.BootNotification`` and are remembered."""
        named = {"charge_point_vendor": vendor, "charge_point_model": model, **fields}
        self.boot_fields.update({name: value for name, value in named.items() if value is not None})
        answer: call_result.BootNotification = await self.ask(call.BootNotification(**self.boot_fields))
        self.accepted = answer.status == "Accepted"
        if self.accepted and answer.interval > 0:
            self.configuration["HeartbeatInterval"] = str(answer.interval)
        self._refresh()
        if self.accepted and self.heartbeats and self._heart is None:
            self._heart = self.spawn(self._beat())
        return answer

    async def boot_until_accepted(self) -> None:
        """Boot, and boot again after the interval that a Pending or Rejected names, until it is Accepted."""
        while True:
            try:
                answer = await self.boot()
            except Disconnected:
                await self._connection()
                continue
            if self.accepted:
                return
            await self.pause(answer.interval or 10)

    async def _connection(self) -> None:
        while self._client is None:
            await asyncio.sleep(0.05)

    async def heartbeat(self) -> Any:
        """Send a Heartbeat; its answer has ``current_time``."""
        return await self.ask(call.Heartbeat())

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(max(1.0, self.configuration.number("HeartbeatInterval") / self.clock.speed))
            if self.ready.is_set():
                try:
                    await self.heartbeat()
                except SimulatorError as error:
                    self.unheard(error)

    async def status(
        self, connector: int = 0, status: str = "Available", error_code: str = "NoError", **more: Any
    ) -> Any:
        """Send a StatusNotification; ``more`` are further fields of ``ocpp.v16.call.StatusNotification``."""
        if connector in self.connectors:
            self.connectors[connector].status = status
        more.setdefault("timestamp", self.now())
        return await self.ask(call.StatusNotification(connector, error_code, status, **more))

    async def authorize(self, id_tag: str) -> Any:
        """Send an Authorize; its answer has ``id_tag_info["status"]``."""
        answer = await self.ask(call.Authorize(id_tag))
        self.cache[id_tag.casefold()] = answer.id_tag_info["status"]
        return answer

    async def start(
        self,
        connector: int = 1,
        id_tag: str = "TAG",
        meter_start_wh: int | None = None,
        *,
        timestamp: str | None = None,
        reservation_id: int | None = None,
    ) -> Any:
        """Send a StartTransaction; its answer has ``transaction_id`` and ``id_tag_info``."""
        request, transaction = self.starting(connector, id_tag, meter_start_wh, reservation_id)
        if timestamp is not None:
            request.timestamp = timestamp
        answer: call_result.StartTransaction = await self.ask(request)
        transaction.id = answer.transaction_id
        return answer

    async def meter(
        self,
        connector: int = 1,
        *,
        energy_wh: float | None = None,
        power_w: float | None = None,
        current_a: float | None = None,
        voltage_v: float | None = None,
        soc: float | None = None,
        samples: list[dict[str, Any]] | None = None,
        context: str = "Sample.Periodic",
        timestamp: str | None = None,
        transaction_id: int | None = None,
    ) -> Any:
        """Send a MeterValues of the connector's transaction.

        ``energy_wh`` is the register, ``soc`` per cent. ``samples`` are sampled values in the words of the wire; with
        nothing given the connector's own meter is read.
        """
        given = {"energy_wh": energy_wh, "power_w": power_w, "current_a": current_a, "voltage_v": voltage_v, "soc": soc}
        if samples is None:
            samples = _sampled(given, context) or self._read_meter(connector, context)
        if energy_wh is not None and connector in self.connectors:
            meter = self.connectors[connector].meter
            meter.register_wh = max(meter.register_wh, energy_wh)
        if transaction_id is None:
            transaction_id = self._transaction_id(connector)
        values = [{"timestamp": timestamp or self.now(), "sampledValue": samples}]
        return await self.ask(call.MeterValues(connector, values, transaction_id))

    async def stop(
        self,
        transaction_id: int | None = None,
        *,
        connector: int = 1,
        meter_stop_wh: int | None = None,
        reason: str | None = "Local",
        id_tag: str | None = None,
        transaction_data: list[dict[str, Any]] | None = None,
        timestamp: str | None = None,
    ) -> Any:
        """Send a StopTransaction, of the connector's transaction unless an id is given."""
        if transaction_id is not None:
            connector = self.connector_of(transaction_id) or connector
        request = self.stopping(connector, reason or "Local", meter_stop_wh=meter_stop_wh)()
        request.reason, request.id_tag, request.transaction_data = reason, id_tag, transaction_data
        request.timestamp = timestamp or request.timestamp
        request.transaction_id = transaction_id if transaction_id is not None else request.transaction_id
        answer = await self.ask(request)
        transaction = self.connectors[connector].transaction
        if transaction is not None and transaction.wire_id == request.transaction_id:
            self.stopped(transaction)
        return answer

    # ------------------------------------------------------------------ what sessions are made of

    def starting(
        self, connector: int, id_tag: str, meter_start_wh: int | None = None, reservation_id: int | None = None
    ) -> tuple[call.StartTransaction, Transaction]:
        """A transaction that begins now on a connector, and its request; a reservation of the tag is used up."""
        place = self.connectors[connector]
        if meter_start_wh is not None:
            place.meter.register_wh = float(meter_start_wh)
        began = self.clock.now()
        place.transaction, place.metered = Transaction(connector, id_tag, began), began
        reservation = place.reservation
        if reservation is not None and reservation.for_tag(id_tag):
            reservation_id, place.reservation = reservation_id or reservation.id, None
        request = call.StartTransaction(connector, id_tag, int(place.meter.register_wh), text_of(began), reservation_id)
        return request, place.transaction

    def stopping(
        self, connector: int, reason: str, *, meter_stop_wh: int | None = None, at: datetime | None = None
    ) -> Callable[[], call.StopTransaction]:
        """What makes the request that stops a connector's transaction, once its id is known."""
        place, stopped = self.connectors[connector], text_of(at or self.clock.now())
        if meter_stop_wh is not None:
            place.meter.register_wh = max(place.meter.register_wh, float(meter_stop_wh))
        register = int(place.meter.register_wh) if meter_stop_wh is None else meter_stop_wh
        transaction = place.transaction

        def make() -> call.StopTransaction:
            return call.StopTransaction(register, stopped, transaction.wire_id if transaction else 0, reason)

        return make

    def stopped(self, transaction: Transaction) -> None:
        """A transaction is over."""
        place = self.connectors[transaction.connector]
        if place.transaction is transaction:
            place.transaction = None
        self.profiles.end_transaction(transaction.connector)

    def measured(self, samples: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The samples that MeterValuesSampledData asks for."""
        wanted = {name.strip() for name in self.configuration["MeterValuesSampledData"].split(",")}
        return [sample for sample in samples if sample["measurand"] in wanted] or samples[:1]

    def limit_w(self, connector: int, at: datetime, began: datetime | None) -> float | None:
        """What charging profiles allow there and then; None without any."""
        return self.profiles.limit_w(connector, at, began)

    def _read_meter(self, connector: int, context: str) -> list[dict[str, Any]]:
        place, now = self.connectors[connector], self.clock.now()
        seconds = (now - place.metered).total_seconds() if place.metered and place.session is None else 0.0
        if place.session is None:
            place.metered = now
        began = place.transaction.began if place.transaction else None
        sample = place.meter.pass_time(seconds, self.limit_w(connector, now, began))
        return self.measured(sample.sampled_values(context))

    def _transaction_id(self, connector: int) -> int | None:
        transaction = self.connectors[connector].transaction if connector in self.connectors else None
        return transaction.wire_id if transaction is not None else None

    async def notify_status(self, connector: int) -> None:
        """Send a connector's status (0: the station's); offline it is sent after the next connection."""
        if not self.ready.is_set():
            self._unsaid.add(connector)
            return
        status = self.connectors[connector].status if connector else self._own_status()
        try:
            await self.ask(call.StatusNotification(connector, "NoError", status, self.now()))
        except Disconnected:
            self._unsaid.add(connector)

    def _own_status(self) -> str:
        return "Available" if self.operative else "Unavailable"

    async def _say_unsaid(self) -> None:
        unsaid, self._unsaid = sorted(self._unsaid), set()
        for connector in unsaid:
            await self.notify_status(connector)

    def unheard(self, error: SimulatorError) -> None:
        """A message that nothing depends on was refused or lost."""
        log.info("%s: %s", self.identity, error)

    # ------------------------------------------------------------------ scripted answers

    def answer(self, action: str, script: Script, *, times: int | None = None) -> None:
        """Answer CALLs of this action so (the first ``times`` of them) instead of as usual.

        ``script`` is a payload, a callable of the payload (async or not) that returns a script or None for the
        usual, or ``Refusal``, ``Silence``, ``Late``, ``Malformed``.
        """
        self._scripts[action] = (script, itertools.count(1) if times is not None else None, times or 0)

    def answer_as_usual(self, action: str) -> None:
        """Forget what ``answer`` said of this action."""
        self._scripts.pop(action, None)

    def script_of(self, action: str) -> Script | None:
        """What the next CALL of this action is answered; None: as usual."""
        found = self._scripts.get(action)
        if found is None:
            return self.faults.answering(action)
        script, counter, times = found
        if counter is not None and next(counter) >= times:
            del self._scripts[action]
        return script

    # ------------------------------------------------------------------ what operations do

    def free_connector(self, connector: int | None, id_tag: str) -> int | None:
        """The connector named, or the first, if a session of this tag may begin there; else None."""
        wanted = self.connectors if connector is None else {connector} & set(self.connectors)
        return next((number for number in sorted(wanted) if self.connectors[number].free_for(id_tag)), None)

    def reserve_start(self, connector: int) -> None:
        """A session is about to begin there; nobody else may begin one."""
        self.connectors[connector].starting = True

    async def begin_session(self, connector: int, id_tag: str, car: Car | None = None) -> None:
        """Play a session until the car is full, it is stopped, or the station ends."""
        authorize = self.configuration.on("AuthorizeRemoteTxRequests")
        await Session(self, connector, id_tag, car or some_car(self.rng), authorize=authorize).run()

    async def end_session(self, connector: int, reason: str) -> None:
        """Stop what runs on a connector, and wait until that is delivered."""
        place = self.connectors[connector]
        if place.session is not None:
            place.session.stop(reason)
            await place.session.done.wait()
        elif place.transaction is not None:
            transaction = place.transaction
            stopped = await self.outbox.post(self.stopping(connector, reason))
            self.stopped(transaction)
            await stopped
            await self.show_availability(connector)

    def connector_of(self, transaction_id: int) -> int | None:
        """Where a transaction of this id runs."""
        for number, place in self.connectors.items():
            if place.transaction is not None and place.transaction.id == transaction_id:
                return number
        return None

    def charges(self, connector: int, profile: dict[str, Any]) -> bool:
        """Whether a TxProfile fits the transaction on a connector."""
        if profile["chargingProfilePurpose"] != TX or connector not in self.connectors:
            return False
        transaction = self.connectors[connector].transaction
        return transaction is not None and profile.get("transactionId", transaction.id) == transaction.id

    def composite(self, connector: int, seconds: int, unit: str) -> tuple[str, dict[str, Any]]:
        """Beginning and composite schedule of a connector."""
        now = self.clock.now()
        place = self.connectors.get(connector)
        began = place.transaction.began if place is not None and place.transaction is not None else None
        return text_of(now), self.profiles.composite(connector, now, seconds, unit, began, MOST_W)

    async def reset(self, type: str) -> None:  # noqa: A002
        """Stop every session (Soft: before, Hard: its StopTransaction follows the boot), disconnect, boot again."""
        if type == "Soft":
            await self._end_sessions("SoftReset")
            await self._restart()
        else:
            await self.reboot("HardReset")

    async def reboot(self, reason: str = "PowerLoss") -> None:
        """Go away without a word, boot again, then deliver what was left to say; sessions end with this reason."""
        self.accepted = False
        self._refresh()
        ending = [self.spawn(self.end_session(number, reason)) for number in self.connectors]
        await self._restart(cut=True)
        await asyncio.wait(ending)

    async def _end_sessions(self, reason: str) -> None:
        await asyncio.gather(*(self.end_session(number, reason) for number in self.connectors))

    async def _restart(self, *, cut: bool = False) -> None:
        self.accepted, self._wanted = False, False
        self._refresh()
        await (self.drop() if cut else self.disconnect())
        await self.pause(REBOOT_S)
        await self._come_back()
        await self.boot_until_accepted()
        for number in (0, *self.connectors):
            if number and self.connectors[number].session is None:
                self.connectors[number].status = self.connectors[number].resting
            await self.notify_status(number)

    async def show_availability(self, connector: int) -> None:
        """Tell that a connector is free, reserved or out of service (0: the station itself)."""
        if connector:
            self.connectors[connector].status = self.connectors[connector].resting
        await self.notify_status(connector)

    def reserve(self, connector: int, reservation_id: int, id_tag: str, expires: datetime) -> None:
        """Keep a connector for a tag; a reservation of the same id is replaced."""
        self.cancel_reservation(reservation_id)
        self.connectors[connector].reservation = Reservation(reservation_id, id_tag, expires)

    def cancel_reservation(self, reservation_id: int) -> int | None:
        """Forget a reservation; the connector it was on, or None."""
        for number, place in self.connectors.items():
            if place.reservation is not None and place.reservation.id == reservation_id:
                place.reservation = None
                return number
        return None

    async def show_reservation(self, connector: int) -> None:
        """Tell that a connector is reserved, and that it is free once the reservation has expired unused."""
        place = self.connectors[connector]
        reservation = place.reservation
        await self.show_availability(connector)
        if reservation is None:
            return
        await self.until(reservation.expires)
        if place.reservation is reservation:
            place.reservation = None
            await self.show_availability(connector)

    async def send_triggered(self, message: str, connector: int | None) -> None:
        """Send the message that a TriggerMessage asked for, for one connector or for all."""
        numbers = [connector] if connector is not None else list(self.connectors)
        if message == "BootNotification":
            await self.boot()
        elif message == "Heartbeat":
            await self.heartbeat()
        elif message == "StatusNotification":
            for number in [0, *numbers] if connector is None else numbers:
                status = self.connectors[number].status if number else self._own_status()
                await self.ask(call.StatusNotification(number, "NoError", status, self.now()))
        elif message == "MeterValues":
            for number in filter(None, numbers):
                await self.meter(number, context="Trigger")
        elif message == "DiagnosticsStatusNotification":
            await self.notify_diagnostics(self.files.diagnostics)
        else:
            await self.notify_firmware(self.files.firmware)

    async def notify_diagnostics(self, status: str) -> None:
        """Send a DiagnosticsStatusNotification."""
        await self.persist(call.DiagnosticsStatusNotification(status))

    async def notify_firmware(self, status: str) -> None:
        """Send a FirmwareStatusNotification."""
        await self.persist(call.FirmwareStatusNotification(status))


def _boot_fields(identity: str, vendor: str, model: str) -> dict[str, Any]:
    told = {"charge_point_vendor": vendor, "charge_point_model": model, "charge_point_serial_number": identity[:25]}
    return {**told, "firmware_version": "1.0.0", "meter_type": "simulated"}


MEASURED = {
    "energy_wh": ("Energy.Active.Import.Register", "Wh"),
    "power_w": ("Power.Active.Import", "W"),
    "current_a": ("Current.Import", "A"),
    "voltage_v": ("Voltage", "V"),
    "soc": ("SoC", "Percent"),
}


def _sampled(given: dict[str, float | None], context: str) -> list[dict[str, Any]]:
    """Sampled values of what is given."""
    return [
        {"value": f"{value:g}" if value % 1 else f"{int(value)}", "context": context, "format": "Raw"}
        | {"measurand": MEASURED[name][0], "location": "EV" if name == "soc" else "Outlet", "unit": MEASURED[name][1]}
        for name, value in given.items()
        if value is not None
    ]


@asynccontextmanager
async def station(url: str, identity: str, **settings: Any) -> AsyncIterator[Station]:
    """A connected, not yet booted station until the block ends; ``settings`` are those of ``Station``.

    Raises ``ConnectionRefused`` where the central system does not let it in.
    """
    made = Station(url, identity, **settings)
    await made.open()
    try:
        yield made
    finally:
        await made.close()
