"""Answer an action that another plugin answers already."""

from arthexis import Action, hookimpl


async def heartbeat(station, call):
    return call.answer(current_time="1970-01-01T00:00:00Z")


@hookimpl
def register_actions():
    yield Action("Heartbeat", heartbeat)
