"""What anybody notifies is a line of the file, by way of the real rules and queue of arthexis-notify."""

import asyncio

import pytest

from arthexis import Notification, Notifications

pytestmark = pytest.mark.plugins("arthexis-notify:notify", "arthexis-logbook:logbook")


async def test_a_notification_is_a_line_of_the_file(host):
    said = Notification("CP-1 is faulted", title="Fault", priority="alarm", at=host.host.clock.now())
    await host.host.service(Notifications).notify(said, ["logbook"])
    book = host.host.home / "logbook.txt"
    async with asyncio.timeout(5):
        while not book.exists():
            await asyncio.sleep(0.02)
    assert book.read_text("utf-8").endswith("alarm: Fault CP-1 is faulted\n")
