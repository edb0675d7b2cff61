"""Moments as the database and the wire write them: what is fast says the same as what is plain."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis.strategies import datetimes, sampled_from

from arthexis.charging.ids import uuid7
from arthexis.db.types import from_text, to_text
from arthexis.testing import FrozenClock

ZONES = sampled_from([UTC, timezone(timedelta(hours=2)), timezone(timedelta(hours=-11, minutes=-30))])
MOMENTS = datetimes(datetime(1000, 1, 2), datetime(9998, 12, 30), timezones=ZONES)
WHOLE = MOMENTS.map(lambda moment: moment.replace(microsecond=0))


@given(MOMENTS | WHOLE)
def test_a_moment_is_kept_to_the_microsecond_in_text_that_sorts(moment: datetime) -> None:
    assert to_text(moment) == moment.astimezone(UTC).isoformat(timespec="microseconds")
    assert from_text(to_text(moment)) == moment


def test_no_moment_is_kept_as_none() -> None:
    assert (to_text(None), from_text(None)) == (None, None)


@given(MOMENTS | WHOLE)
def test_the_time_is_told_in_utc_with_milliseconds(moment: datetime) -> None:
    clock = FrozenClock(moment.astimezone(UTC))
    told = clock.now().isoformat(timespec="milliseconds")
    assert clock.now_text() == told.removesuffix("+00:00") + "Z"


def test_an_id_for_other_nodes_is_a_uuid_of_version_7_that_begins_with_its_time() -> None:
    made = [uuid.UUID(uuid7(0x0123_4567_89AB)) for _ in range(100)]
    assert {(one.version, one.variant, one.hex[:12]) for one in made} == {(7, uuid.RFC_4122, "0123456789ab")}
    assert len(set(made)) == 100
