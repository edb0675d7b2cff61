"""GetConfiguration: what a station's keys are (OCPP 1.6 §5.8)."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import UNSET

from arthexis import Connection, Ended, Operation, hookimpl
from arthexis_ocpp16 import configuration
from arthexis_ocpp16.configuration import Key


def finished(db: Connection, ended: Ended) -> None:
    """Keep every key that the station told, and which it does not know."""
    answer = ended.answer
    if answer is None:
        return
    told = () if answer.configuration_key is UNSET else answer.configuration_key
    found = [Key(key.key, None if key.value is UNSET else key.value, key.readonly) for key in told]
    unknown = () if answer.unknown_key is UNSET else answer.unknown_key
    configuration.read(db, ended.station_id, found, unknown, ended.at)


@hookimpl
def register_operations() -> Iterable[Operation]:
    """Offer GetConfiguration."""
    yield Operation(
        "GetConfiguration",
        "Ask for configuration keys; without any, for all of them",
        help={"key": "Names of keys, at most GetConfigurationMaxKeys of them"},
        resend=True,
        shown_answer=configuration.without_secrets,
        finished=finished,
    )
