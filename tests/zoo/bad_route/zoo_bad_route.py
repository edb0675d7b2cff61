"""Offer a route that no router understands."""

from arthexis import Route, hookimpl


async def handle(request):
    return None


@hookimpl
def register_routes():
    yield Route("GET", "/zoo/{broken", handle)
