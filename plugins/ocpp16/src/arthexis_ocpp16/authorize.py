"""Authorize: may this id tag charge (OCPP 1.6 §4.1)."""

from __future__ import annotations

from collections.abc import Iterable

from arthexis import Action, Authorization, Call, Connection, Station, hookimpl, tags
from arthexis_ocpp16.messages import Authorize, AuthorizeAnswer
from arthexis_ocpp16.reading import id_tag_info


async def authorize(station: Station, call: Call[Authorize]) -> AuthorizeAnswer:
    """Say what the tag may do. Never ConcurrentTx, which belongs to StartTransaction alone."""
    id_tag = call.payload.id_tag
    policy = await call.host.decide_authorization(station, id_tag, starting=False)

    def decide(db: Connection) -> Authorization:
        if policy is not None:
            return policy
        return tags.decide(db, id_tag, station.id, call.record.received_at, admit_unknown=call.host.open)

    decided = await call.write(decide)
    return AuthorizeAnswer(id_tag_info(decided))


@hookimpl
def register_actions() -> Iterable[Action]:
    """Answer Authorize."""
    yield Action("Authorize", authorize)
