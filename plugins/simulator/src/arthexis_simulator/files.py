"""Diagnostics and firmware: real transfers over http(s), played progress for other schemes (OCPP 1.6 §4.4, §4.5)."""

from __future__ import annotations

from datetime import datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from aiohttp import ClientError, ClientSession, ClientTimeout

if TYPE_CHECKING:
    from arthexis_simulator.station import Station

TRANSFER_S = 30.0
STEP_S = 2.0


class Files:
    """What a station does with locations that it is told; ``diagnostics`` and ``firmware`` are the latest statuses."""

    def __init__(self, station: Station) -> None:
        """Belong to this station."""
        self._station = station
        self.diagnostics = "Idle"
        self.firmware = "Idle"

    async def upload(self, location: str, name: str) -> None:
        """Put the station's log at ``location`` and notify Uploading, then Uploaded or UploadFailed."""
        await self._tell_diagnostics("Uploading")
        done = await self._transferred("PUT", location, self._log().encode(), name)
        await self._tell_diagnostics("Uploaded" if done else "UploadFailed")
        self.diagnostics = "Idle"

    def _log(self) -> str:
        return "".join(f"{f.at.isoformat()} {f.direction} {f.text}\n" for f in self._station.log)

    async def update(self, location: str, when: datetime) -> None:
        """Fetch and install firmware, notifying each step; the station boots again with the new version."""
        await self._station.until(when)
        await self._tell_firmware("Downloading")
        if not await self._transferred("GET", location, None, ""):
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

    async def _transferred(self, method: str, location: str, data: bytes | None, name: str) -> bool:
        """Whether it worked; only http(s) really moves bytes."""
        if urlsplit(location).scheme not in {"http", "https"}:
            await self._station.pause(STEP_S)
            return True
        url = f"{location}{name}" if location.endswith("/") else location
        try:
            async with (
                ClientSession(timeout=ClientTimeout(total=TRANSFER_S)) as session,
                session.request(method, url, data=data) as response,
            ):
                await response.read()
                return response.status < 300
        except (ClientError, TimeoutError, OSError):
            return False
