"""Whoever sends notifications finds this notifier, and what it is given is in the file."""

import pytest

from arthexis import Notification, Notifier

pytestmark = pytest.mark.plugins("arthexis-logbook:logbook")


async def test_a_notification_is_a_line_of_the_file(host, clock):
    ctx = host.host.context(host.plugin("logbook"))
    [(plugin, notifier)] = ctx.contributions(Notifier)
    said = Notification("CP-1 is faulted", title="Fault", priority="alarm", at=clock.now())
    await ctx.call(plugin, notifier.handler, said)
    assert (host.host.home / "logbook.txt").read_text("utf-8").endswith("alarm: Fault CP-1 is faulted\n")
