"""Write a register_* hook as a coroutine function."""

from arthexis import hookimpl


@hookimpl
async def register_actions():
    return []
