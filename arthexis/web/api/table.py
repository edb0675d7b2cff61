"""The host's own routes, room by room, in the order in which the document shows them."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from arthexis.contributions import Route
from arthexis.web.api import (
    connectors,
    events,
    messages,
    meter_values,
    node,
    operations,
    plugins,
    reservations,
    stations,
    tags,
    tokens,
    transactions,
)

ROOMS: Final = (
    stations,
    connectors,
    transactions,
    meter_values,
    tags,
    operations,
    reservations,
    messages,
    events,
    node,
    plugins,
    tokens,
)

ROUTES: Final[tuple[Route, ...]] = tuple(
    replace(route, topic=room.__name__.rpartition(".")[2].replace("_", " ")) for room in ROOMS for route in room.ROUTES
)
