"""FTP and FTPS (explicit TLS) for stations that speak nothing else: a token is the password, its station the user.

pyftpdlib serves in a thread of its own. What it shows is no folder: a login sees the one file that its token is for,
or an empty place to which one file can be brought. Bytes are never altered, whatever TYPE a station asks for.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import stat
import threading
import time
import warnings
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Final, TypeVar

from arthexis import ArthexisError, ConfigError, Unavailable
from arthexis_files.settings import Settings
from arthexis_files.store import Incoming
from arthexis_files.tokens import Grant
from arthexis_files.transfers import Transfers

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.exceptions import AuthenticationFailed, FilesystemError
    from pyftpdlib.filesystems import AbstractedFS
    from pyftpdlib.handlers import DTPHandler, FTPHandler, TLS_DTPHandler, TLS_FTPHandler
    from pyftpdlib.ioloop import IOLoop
    from pyftpdlib.servers import FTPServer

from OpenSSL.SSL import Error as SslError

T = TypeVar("T")
ANSWER_S: Final = 30.0
TURN_S: Final = 0.2
MOST_SESSIONS: Final = 512
MOST_FROM_ONE: Final = 32
FETCH: Final = "elr"
BRING: Final = "elw"


class Bridge:
    """How FTP's thread asks the node's loop."""

    def __init__(self, transfers: Transfers) -> None:
        """Belong to the loop that runs now."""
        self.transfers = transfers
        self._loop = asyncio.get_running_loop()

    def ask(self, work: Coroutine[Any, Any, T]) -> T:
        """What a coroutine of the node returns or raises; ``TimeoutError`` where it takes too long."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(ANSWER_S)

    async def enter(self, token: str, login: str, *, upload: bool, stop: Callable[[], None]) -> Turn:
        """The turn of a transfer: alone with its token, counted, to be left by ``Turn.leave``."""
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.transfers.alone(token, stop))
            grant = await self.transfers.admit(token, upload=upload, login=login)
            return Turn(self, grant, stack.pop_all())


@dataclass(frozen=True, slots=True)
class Turn:
    """One transfer's right to its token."""

    bridge: Bridge
    grant: Grant
    held: AsyncExitStack

    def leave(self) -> None:
        """Let another transfer have it."""
        self.bridge.ask(self.held.aclose())


class Reading:
    """The file that is sent; knows from where to where it was read, and tells that when it is closed."""

    def __init__(self, turn: Turn, name: str) -> None:
        """Open it; raises ``Unavailable``."""
        self.name = name
        self.closed = False
        self._turn = turn
        self._file = turn.bridge.ask(turn.bridge.transfers.opened(turn.grant))
        self.start = self.end = 0

    def seek(self, offset: int) -> None:
        """Begin there."""
        self.start = self.end = self._file.seek(offset)

    def read(self, size: int) -> bytes:
        """The next bytes."""
        data = self._file.read(size)
        self.end += len(data)
        return data

    def close(self) -> None:
        """Say how far it came, once."""
        if not self.closed:
            self.closed = True
            self._file.close()
            if self.end > self.start:
                self._turn.bridge.ask(self._turn.bridge.transfers.sent(self._turn.grant, self.start, self.end))
            self._turn.leave()


class Writing:
    """The file that is brought; ``keep`` stores it, closing it without that forgets it."""

    def __init__(self, turn: Turn, name: str) -> None:
        """Begin an empty one."""
        self.name = name
        self.closed = False
        self._turn = turn
        transfers = turn.bridge.transfers
        self._incoming = Incoming(transfers.store, transfers.settings.max_upload_bytes)
        self._kept = False

    def write(self, data: bytes) -> None:
        """Add bytes; ``OSError`` where that is too much, which ends the transfer."""
        try:
            self._incoming.write(bytes(data))
        except ArthexisError as refused:
            raise OSError(refused.problem) from None

    def keep(self) -> None:
        """Store it; raises ``ArthexisError`` where the token is over or nothing came."""
        if not self._incoming.size:
            raise Unavailable("it is empty")
        self._kept = True
        self._turn.bridge.ask(self._turn.bridge.transfers.brought(self._turn.grant, self._incoming, self.name))

    def close(self) -> None:
        """Forget what was not kept."""
        if not self.closed:
            self.closed = True
            if not self._kept:
                self._incoming.discard()
            self._turn.leave()


class OneFile(AbstractedFS):  # type: ignore[misc]
    """What a login sees: nothing on the disk is reached by a path."""

    def ftp2fs(self, ftppath: str) -> str:
        """A path as the other methods take it; one with a NUL is of nothing."""
        return str(self.ftpnorm(ftppath.replace("\0", "/")))

    def fs2ftp(self, fspath: str) -> str:
        """The same path."""
        return fspath

    def validpath(self, path: str) -> bool:
        """Only what lies directly at the top."""
        return path.startswith("/") and path.count("/") == 1

    def realpath(self, path: str) -> str:
        """There are no links."""
        return path

    def open(self, filename: str, mode: str) -> Any:
        """Begin a transfer; only the token's own file can be fetched, only a new one be brought."""
        session = self.cmd_channel
        if mode == "rb" and filename == self._only():
            return session.begun(Reading, filename[1:])
        if mode == "wb" and session.grant.upload and filename != "/":
            return session.begun(Writing, filename[1:])
        raise FilesystemError("Not possible here")

    def _only(self) -> str | None:
        file = self.cmd_channel.grant.file
        return f"/{file['name']}" if file is not None else None

    def chdir(self, path: str) -> None:
        """There is only the top."""
        if path != "/":
            raise FilesystemError("No such directory")
        self.cwd = "/"

    def listdir(self, _path: str) -> list[str]:
        """The one file, if there is one."""
        only = self._only()
        return [only[1:]] if only is not None else []

    listdirinfo = listdir

    def isfile(self, path: str) -> bool:
        """Whether it is the one file."""
        return path == self._only()

    def isdir(self, path: str) -> bool:
        """Whether it is the top."""
        return path == "/"

    def islink(self, _path: str) -> bool:
        """There are none."""
        return False

    def lexists(self, path: str) -> bool:
        """Whether something is there."""
        return self.isfile(path) or self.isdir(path)

    def getsize(self, path: str) -> int:
        """Bytes of the one file."""
        return int(self.stat(path).st_size)

    def getmtime(self, path: str) -> float:
        """When it was added, in seconds since 1970."""
        return float(self.stat(path).st_mtime)

    def stat(self, path: str) -> Any:
        """What a listing shows."""
        file = self.cmd_channel.grant.file
        if path == "/" or (file is not None and self.isfile(path)):
            size, at = (0, time.time()) if path == "/" else (file["size"], file["added_at"].timestamp())
            mode = stat.S_IFDIR | 0o555 if path == "/" else stat.S_IFREG | 0o444
            return os.stat_result((mode, 0, 0, 1, 0, 0, size, int(at), int(at), int(at)))
        raise FilesystemError("No such file")

    lstat = stat


class Keeper:
    """Mixed into the data channel: what was brought is kept before the station is told that it is."""

    file_obj: Any
    transfer_finished: bool
    _closed: bool
    _resp: Any

    def close(self) -> None:
        """End the transfer."""
        if not self._closed and isinstance(self.file_obj, Writing) and self.transfer_finished:
            try:
                self.file_obj.keep()
            except (ArthexisError, TimeoutError) as refused:
                self.transfer_finished = False
                self._resp = (f"552 Not kept: {getattr(refused, 'problem', 'try again')}.", _quiet)
        super().close()  # type: ignore[misc]


def _quiet(_text: str) -> None:
    """Log nothing."""


class PlainData(Keeper, DTPHandler):  # type: ignore[misc]
    """The data channel without TLS."""


class TlsData(Keeper, TLS_DTPHandler):  # type: ignore[misc]
    """The data channel that may have TLS."""


class Logins(DummyAuthorizer):  # type: ignore[misc]
    """Who may log in to one session: whoever has a token, under the name of its station."""

    def __init__(self, session: Any) -> None:
        """Belong to this session."""
        super().__init__()
        self._session = session

    def validate_authentication(self, username: str, password: str, _handler: Any) -> None:
        """Look at name and token; every refusal says the same."""
        bridge: Bridge = self._session.bridge
        try:
            self._session.grant = bridge.ask(bridge.transfers.look(password, login=username))
        except (ArthexisError, TimeoutError):
            raise AuthenticationFailed("Authentication failed.") from None
        self._session.token = password

    def get_home_dir(self, _username: str) -> str:
        """The one folder there is."""
        return "/"

    def has_user(self, _username: str) -> bool:
        """Names are not told apart before the password."""
        return True

    def has_perm(self, _username: str, perm: str, path: str | None = None) -> bool:
        """Fetching, or bringing."""
        return perm in self.get_perms("")

    def get_perms(self, _username: str) -> str:
        """What the token is for."""
        grant = self._session.grant
        return "" if grant is None else BRING if grant.upload else FETCH

    def get_msg_login(self, _username: str) -> str:
        """What a login is answered."""
        return "Welcome."

    def get_msg_quit(self, _username: str) -> str:
        """What a goodbye is answered."""
        return "Goodbye."


class Session:
    """Mixed into the control channel: one login with one token."""

    bridge: ClassVar[Bridge]
    busy: ClassVar[dict[str, Any]]
    data_channel: Any
    username: str
    abstracted_fs = OneFile
    banner = "Ready."
    use_sendfile = False
    timeout = 120
    grant: Grant | None = None
    token = ""
    begins_at = 0

    def __init__(self, *args: Any, **options: Any) -> None:
        """Take a connection."""
        super().__init__(*args, **options)
        self.authorizer = Logins(self)
        self._current_type = "i"

    def flush_account(self) -> None:
        """Forget who logged in."""
        super().flush_account()  # type: ignore[misc]
        self.grant, self.token, self._current_type = None, "", "i"

    def ftp_TYPE(self, line: str) -> None:  # noqa: N802 - the library calls it so
        """Accept what stations say; bytes stay what they are."""
        known = line.upper().replace(" ", "") in {"A", "AN", "I", "L8", "L7"}
        answer = "200 Bytes are sent as they are." if known else f"504 Unsupported type {line[:10]!r}."
        self.respond(answer)  # type: ignore[attr-defined]

    def ftp_RETR(self, file: str) -> Any:  # noqa: N802 - the library calls it so
        """Send the file, from where REST said."""
        self.begins_at = self._restart_position  # type: ignore[attr-defined]
        return super().ftp_RETR(file)  # type: ignore[misc]

    def begun(self, kind: type[Reading] | type[Writing], name: str) -> Reading | Writing:
        """A transfer with this session's token; raises what the library answers 550."""
        older = self.busy.get(self.token)
        if older is not None and older is not self:
            older.cut()
            if older.data_channel is not None:
                older.data_channel.close()
        try:
            turn = self.bridge.ask(self.bridge.enter(self.token, self.username, upload=kind is Writing, stop=self.cut))
        except ArthexisError as refused:
            raise FilesystemError(refused.problem) from None
        try:
            turn.grant.check(self.begins_at)
            found = kind(turn, name)
        except (ArthexisError, OSError) as failure:
            turn.leave()
            raise FilesystemError(getattr(failure, "problem", "Not possible now")) from None
        self.busy[self.token] = self
        return found

    def cut(self) -> None:
        """Cut the data connection; may be called from any thread."""
        channel = self.data_channel
        if channel is not None and channel.socket is not None:
            with contextlib.suppress(OSError):
                channel.socket.shutdown(socket.SHUT_RDWR)

    def _on_dtp_close(self) -> None:
        if self.busy.get(self.token) is self:
            del self.busy[self.token]
        super()._on_dtp_close()  # type: ignore[misc]


class PlainSession(Session, FTPHandler):  # type: ignore[misc]
    """A session without TLS."""


class TlsSession(Session, TLS_FTPHandler):  # type: ignore[misc]
    """A session that may, or must, have TLS."""


def _handler(settings: Settings, bridge: Bridge) -> type[Any]:
    """The class of this server's sessions; raises ``ConfigError`` where the certificate cannot be used."""
    first, last = settings.ftp_passive_ports
    own: dict[str, Any] = {"bridge": bridge, "busy": {}, "passive_ports": range(first, last + 1) if first else None}
    if settings.ftp_public_host:
        own["masquerade_address"] = socket.gethostbyname(settings.ftp_public_host)
    if settings.ftp == "ftp":
        return type("Sessions", (PlainSession,), {**own, "dtp_handler": PlainData})
    only = settings.ftp == "ftps"
    own |= {"certfile": settings.ftp_certificate, "keyfile": settings.ftp_key or settings.ftp_certificate}
    own |= {"tls_control_required": only, "tls_data_required": only, "dtp_handler": TlsData, "ssl_context": None}
    made = type("Sessions", (TlsSession,), own)
    try:
        made.get_ssl_context()  # type: ignore[attr-defined]
    except (OSError, ValueError, SslError) as error:
        raise ConfigError(
            f"the certificate cannot be used: {error}",
            place="plugins.files.ftp_certificate",
            cure="Name the PEM files of a certificate and its key",
        ) from None
    return made


@asynccontextmanager
async def serving(transfers: Transfers) -> AsyncIterator[int]:
    """Serve FTP in a thread until the block ends; the port. Raises ``Unavailable`` where it cannot listen."""
    settings = transfers.settings
    try:
        handler = await asyncio.to_thread(_handler, settings, Bridge(transfers))
        server = FTPServer((settings.ftp_host, settings.ftp_port), handler, ioloop=IOLoop())
    except OSError as error:
        raise Unavailable(
            f"FTP cannot listen on {settings.ftp_host}:{settings.ftp_port}: {error.strerror or error}",
            place="plugins.files.ftp_port",
            cure="Choose another port",
        ) from None
    server.max_cons, server.max_cons_per_ip = MOST_SESSIONS, MOST_FROM_ONE
    ending = threading.Event()

    def work() -> None:
        while not ending.is_set():
            server.ioloop.loop(timeout=TURN_S, blocking=False)
        server.close_all()

    thread = threading.Thread(target=work, name="ftp", daemon=True)
    thread.start()
    try:
        yield int(server.socket.getsockname()[1])
    finally:
        ending.set()
        await asyncio.to_thread(thread.join, ANSWER_S)
