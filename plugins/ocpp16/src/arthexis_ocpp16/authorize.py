"""Authorize: may this id tag charge (OCPP 1.6 §4.1)."""

from __future__ import annotations

from collections.abc import Iterable

from arthexis import Action, Call, Connection, Station, hookimpl, tags
from arthexis_ocpp16.messages import Authorize, AuthorizeAnswer
from arthexis_ocpp16.reading import id_tag_info, presented


async def authorize(station: Station, call: Call[Authorize]) -> AuthorizeAnswer:
    """Say what the tag may do. Never ConcurrentTx, which belongs to StartTransaction alone."""
    id_tag = presented(call, "idTag", call.payload.id_tag)
    policy = await call.host.decide_authorization(station, id_tag, starting=False)

    def decide(db: Connection) -> AuthorizeAnswer:
        decided = policy
        if decided is None:
            decided = tags.decide(db, id_tag, station.id, call.record.received_at, admit_unknown=call.host.open)
        return AuthorizeAnswer(id_tag_info(decided))

    return await call.write(decide)


@hookimpl
def register_actions() -> Iterable[Action]:
    """Answer Authorize; an answer that is some seconds old may no longer be true."""
    yield Action("Authorize", authorize, replay_s=5, asks=("decide_authorization",))
