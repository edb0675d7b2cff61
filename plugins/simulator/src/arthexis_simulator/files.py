"""Diagnostics and firmware: real transfers over HTTP, HTTPS, FTP and FTPS (OCPP 1.6 §4.4, §4.5)."""

from __future__ import annotations

import asyncio
import ftplib
import io
from contextlib import ExitStack
from datetime import datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from aiohttp import ClientError, ClientSession, ClientTimeout

if TYPE_CHECKING:
    from arthexis_simulator.station import Station

TRANSFER_S = 30.0
TRIES = 3
HTTP: Final = frozenset({"http", "https"})
FAILURES: Final = (ClientError, TimeoutError, OSError, EOFError, ftplib.Error)


class Files:
    """What a station does with locations that it is told; ``diagnostics`` and ``firmware`` are the latest statuses.

    ``fetched`` is the firmware it fetched last. With ``breaks_at``, the next download breaks off after so many bytes
    and goes on where it was.
    """

    def __init__(self, station: Station) -> None:
        """Belong to this station."""
        self._station = station
        self.diagnostics = "Idle"
        self.firmware = "Idle"
        self.fetched: bytes | None = None
        self.breaks_at: int | None = None

    async def upload(self, location: str, name: str) -> None:
        """Put the station's log at ``location`` and notify Uploading, then Uploaded or UploadFailed."""
        await self._tell_diagnostics("Uploading")
        done = await self._brought(location, self._log().encode(), name)
        await self._tell_diagnostics("Uploaded" if done else "UploadFailed")
        self.diagnostics = "Idle"

    def _log(self) -> str:
        return "".join(f"{f.at.isoformat()} {f.direction} {f.text}\n" for f in self._station.log)

    async def update(self, location: str, when: datetime) -> None:
        """Fetch and install firmware, notifying each step; the station boots again with the new version."""
        await self._station.until(when)
        await self._tell_firmware("Downloading")
        self.fetched = await self._fetched(location)
        if self.fetched is None:
            await self._tell_firmware("DownloadFailed")
            self.firmware = "Idle"
            return
        await self._tell_firmware("Downloaded")
        await self._tell_firmware("Installing")
        version = PurePosixPath(urlsplit(location).path).stem[:50]
        self._station.boot_fields["firmware_version"] = version or "updated"
        await self._station.reset("Soft")
        await self._tell_firmware("Installed")
        self.firmware = "Idle"

    async def _tell_diagnostics(self, status: str) -> None:
        self.diagnostics = status
        await self._station.notify_diagnostics(status)

    async def _tell_firmware(self, status: str) -> None:
        self.firmware = status
        await self._station.notify_firmware(status)

    async def _fetched(self, location: str) -> bytes | None:
        """The file at ``location``; a transfer that breaks off goes on where it was (Range, REST). None if it fails."""
        content = bytearray()
        for _ in range(TRIES):
            before = len(content)
            fetch = self._by_http if urlsplit(location).scheme in HTTP else self._by_ftp
            try:
                return bytes(content) if await fetch(location, content) else None
            except FAILURES:
                if len(content) == before:
                    return None
        return None

    async def _by_http(self, location: str, content: bytearray) -> bool:
        """Add what is missing of a file to its beginning; whether the answer was a good one."""
        headers = {"Range": f"bytes={len(content)}-"} if content else {}
        async with (
            ClientSession(timeout=ClientTimeout(total=TRANSFER_S)) as session,
            session.get(location, headers=headers) as response,
        ):
            if response.status not in {200, 206}:
                return False
            if response.status == 200:
                content.clear()
            async for chunk in response.content.iter_any():
                content += chunk
                self._maybe_break(content)
        return True

    def _maybe_break(self, content: bytearray) -> None:
        """Play a connection that breaks, once, when so many bytes are there."""
        if self.breaks_at is not None and len(content) >= self.breaks_at:
            self.breaks_at = None
            raise ConnectionResetError("the connection broke off")

    async def _by_ftp(self, location: str, content: bytearray) -> bool:
        """The same over FTP."""

        def add(chunk: bytes) -> None:
            content.extend(chunk)
            self._maybe_break(content)

        def fetch() -> bool:
            with _login(location) as ftp:
                name = unquote(urlsplit(location).path.lstrip("/"))
                ftp.retrbinary(f"RETR {name}", add, rest=len(content) or None)
            return True

        return await asyncio.to_thread(fetch)

    async def _brought(self, location: str, data: bytes, name: str) -> bool:
        """Whether the data arrived at ``location``, under this name where that is a folder."""
        target = f"{location}{name}" if location.endswith("/") else location
        try:
            if urlsplit(location).scheme not in HTTP:
                await asyncio.to_thread(_store, target, data)
                return True
            async with (
                ClientSession(timeout=ClientTimeout(total=TRANSFER_S)) as session,
                session.put(target, data=data) as response,
            ):
                await response.read()
                return response.status < 300
        except FAILURES:
            return False


def _login(location: str) -> ftplib.FTP:
    """An FTP session with what a URL says; FTPS encrypts both channels and checks no certificate."""
    parts = urlsplit(location)
    with ExitStack() as stack:
        secure = parts.scheme == "ftps"
        ftp = stack.enter_context(ftplib.FTP_TLS() if secure else ftplib.FTP())  # noqa: S321 - what stations speak
        ftp.connect(parts.hostname or "", parts.port or 21, timeout=TRANSFER_S)
        ftp.login(unquote(parts.username or ""), unquote(parts.password or ""))
        if isinstance(ftp, ftplib.FTP_TLS):
            ftp.prot_p()
        stack.pop_all()
        return ftp


def _store(location: str, data: bytes) -> None:
    with _login(location) as ftp:
        ftp.storbinary(f"STOR {unquote(urlsplit(location).path.lstrip('/'))}", io.BytesIO(data))
