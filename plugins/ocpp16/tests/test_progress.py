"""FirmwareStatusNotification and DiagnosticsStatusNotification: how far something has come, step by step."""

from __future__ import annotations

from typing import Any, get_args

import pytest
import sqlalchemy as sa
from arthexis_ocpp16.messages import DiagnosticsStatus, FirmwareStatus
from arthexis_ocpp16.tables import progress

from arthexis.testing import Node, Wire

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*")


async def steps(host: Node, of: str) -> list[str]:
    def read(db: Any) -> list[str]:
        wanted = sa.select(progress.c.status).where(progress.c.of == of).order_by(progress.c.id)
        return list(db.core.execute(wanted).scalars())

    return await host.host.database.read(read)


async def test_every_step_of_a_firmware_update_is_kept(host: Node, cp: Wire) -> None:
    """Rule 21: always answered with nothing."""
    for said in get_args(FirmwareStatus):
        assert await cp.result("FirmwareStatusNotification", {"status": said}) == {}
    assert await steps(host, "firmware") == list(get_args(FirmwareStatus))
    assert await steps(host, "diagnostics") == []
    await host.settle()
    assert [e.data["status"] for e in await host.events("firmware.status")] == list(get_args(FirmwareStatus))


async def test_every_step_of_an_upload_is_kept(host: Node, cp: Wire) -> None:
    for said in get_args(DiagnosticsStatus):
        assert await cp.result("DiagnosticsStatusNotification", {"status": said}) == {}
    assert await steps(host, "diagnostics") == list(get_args(DiagnosticsStatus))


@pytest.mark.parametrize(
    ("said", "meant"),
    [("DOWNLOAD_FAILED", "DownloadFailed"), ("InstallRebooting", "Installing"), ("SignatureVerified", "Downloaded")],
)
async def test_other_words_for_a_step_are_understood(host: Node, cp: Wire, said: str, meant: str) -> None:
    await cp.result("FirmwareStatusNotification", {"status": said, "requestId": 5})
    assert await steps(host, "firmware") == [meant]
