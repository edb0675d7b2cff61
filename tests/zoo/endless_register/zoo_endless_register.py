"""Yield contributions without end."""

from arthexis import Route, hookimpl


async def nothing(request):
    return None


@hookimpl
def register_routes():
    number = 0
    while True:
        number += 1
        yield Route("GET", f"/zoo/{number}", nothing)
