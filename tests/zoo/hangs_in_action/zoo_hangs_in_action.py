"""Answer an action never."""

import asyncio

from arthexis import Action, hookimpl


async def firmware_status_notification(station, call):
    await asyncio.sleep(3600)


@hookimpl
def register_actions():
    yield Action("FirmwareStatusNotification", firmware_status_notification)
