"""GetLocalListVersion: which local authorization list a station holds (OCPP 1.6 §5.10)."""

from __future__ import annotations

from collections.abc import Iterable

from arthexis import Connection, Ended, Operation, hookimpl
from arthexis_ocpp16 import local_list


def finished(db: Connection, ended: Ended) -> None:
    """Keep what the station said; -1 is a station without such a list, 0 an empty one."""
    if ended.answer is not None:
        local_list.told(db, ended.station_id, ended.answer.list_version, ended.at)


@hookimpl
def register_operations() -> Iterable[Operation]:
    """Offer GetLocalListVersion."""
    yield Operation(
        "GetLocalListVersion",
        "Ask which local list the station holds; -1: it has none, 0: it is empty",
        resend=True,
        finished=finished,
    )
