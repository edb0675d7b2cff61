"""End its own handler as if the node had."""

import asyncio

from arthexis import Action, hookimpl


async def diagnostics_status_notification(station, call):
    raise asyncio.CancelledError


@hookimpl
def register_actions():
    yield Action("DiagnosticsStatusNotification", diagnostics_status_notification)
