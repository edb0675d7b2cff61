"""Answer Heartbeat in whole seconds, for stations whose clock stumbles over fractions."""

from arthexis import Action, hookimpl


async def heartbeat(station, call):
    return call.answer(current_time=call.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"))


@hookimpl
def register_actions():
    yield Action("Heartbeat", heartbeat, early=True, replay_s=5)
