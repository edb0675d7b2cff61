"""Times of stations are read with patience and never raise."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from arthexis.charging.times import format_utc, parse_utc

BERLIN = ZoneInfo("Europe/Berlin")

READ = {
    "2026-11-23T20:05:17Z": "2026-11-23T20:05:17+00:00",
    "2026-11-23T20:05:17.1Z": "2026-11-23T20:05:17.100000+00:00",
    "2026-11-23T20:05:17.12Z": "2026-11-23T20:05:17.120000+00:00",
    "2026-11-23T20:05:17.123Z": "2026-11-23T20:05:17.123000+00:00",
    "2026-11-23T20:05:17.1234567Z": "2026-11-23T20:05:17.123456+00:00",
    "2026-11-23T20:05:17.999999999Z": "2026-11-23T20:05:17.999999+00:00",
    "2026-11-23T20:05:17.123456789012345678901234567890z": "2026-11-23T20:05:17.123456+00:00",
    "2026-11-23T20:05:17,5Z": "2026-11-23T20:05:17.500000+00:00",
    "2026-11-23T20:05:17.Z": "2026-11-23T20:05:17+00:00",
    "2026-11-23t20:05:17z": "2026-11-23T20:05:17+00:00",
    "2026-11-23 20:05:17Z": "2026-11-23T20:05:17+00:00",
    "2026-11-23 20:05:17": "2026-11-23T20:05:17+00:00",
    "2026-11-23 20:05:17 +0100": "2026-11-23T19:05:17+00:00",
    "2026-11-23T20:05:17+01:00": "2026-11-23T19:05:17+00:00",
    "2026-11-23T20:05:17+0100": "2026-11-23T19:05:17+00:00",
    "2026-11-23T20:05:17+01": "2026-11-23T19:05:17+00:00",
    "2026-11-23T20:05:17-05:30": "2026-11-24T01:35:17+00:00",
    "2026-11-23T20:05:17-0530": "2026-11-24T01:35:17+00:00",
    "2026-11-23T20:05:17.5-00:00": "2026-11-23T20:05:17.500000+00:00",
    "2026-11-23T20:05:17+00:00Z": "2026-11-23T20:05:17+00:00",
    "2026-11-23T20:05:17 UTC": "2026-11-23T20:05:17+00:00",
    "2026-11-23T20:05:17GMT": "2026-11-23T20:05:17+00:00",
    "2026-11-23T20:05Z": "2026-11-23T20:05:00+00:00",
    "2026-11-23T20:05": "2026-11-23T20:05:00+00:00",
    "2026-11-23T20Z": "2026-11-23T20:00:00+00:00",
    "2026-11-23": "2026-11-23T00:00:00+00:00",
    "20261123T200517Z": "2026-11-23T20:05:17+00:00",
    "20261123T200517.25+0100": "2026-11-23T19:05:17.250000+00:00",
    "2026-8-4T3:05:07Z": "2026-08-04T03:05:07+00:00",
    "2016-12-31T23:59:60Z": "2017-01-01T00:00:00+00:00",
    "2016-12-31T23:59:60.25Z": "2017-01-01T00:00:00.250000+00:00",
    "2017-01-01T01:59:60+02:00": "2017-01-01T00:00:00+00:00",
    "2026-12-31T24:00:00Z": "2027-01-01T00:00:00+00:00",
    "2024-02-29T12:00:00Z": "2024-02-29T12:00:00+00:00",
    "1970-01-01T00:00:00Z": "1970-01-01T00:00:00+00:00",
    "0001-01-01T00:00:00Z": "0001-01-01T00:00:00+00:00",
    "9999-12-31T23:59:59.999Z": "9999-12-31T23:59:59.999000+00:00",
    "2026-08-04T13:35:45.377": "2026-08-04T13:35:45.377000+00:00",
    "  2026-11-23T20:05:17Z\r\n": "2026-11-23T20:05:17+00:00",
    '"2026-11-23T20:05:17Z"': "2026-11-23T20:05:17+00:00",
    "2026-11-23T20:05:17Z\0": "2026-11-23T20:05:17+00:00",
    "1795464317": "2026-11-23T20:05:17+00:00",
    "1795464317.5": "2026-11-23T20:05:17.500000+00:00",
    "1795464317123": "2026-11-23T20:05:17.123000+00:00",
    "1795464317123.0": "2026-11-23T20:05:17.123000+00:00",
    "1795464317123456": "2026-11-23T20:05:17.123456+00:00",
    "20261123200517": "2026-11-23T20:05:17+00:00",
    "2026/11/23 20:05:17": "2026-11-23T20:05:17+00:00",
    "2026.11.23 20:05:17Z": "2026-11-23T20:05:17+00:00",
    "23.11.2026 20:05:17": "2026-11-23T20:05:17+00:00",
    "2026-11-23T20:05:17+01:00[Europe/Berlin]": "2026-11-23T19:05:17+00:00",
}

NO_TIME = (
    "",
    " ",
    "now",
    "null",
    "T",
    "Z",
    "20:05:17",
    "2026",
    "2026-11",
    "17954643",
    "179546431",
    "17101315010301",
    "171012150103012345",
    "2026-13-01T00:00:00Z",
    "2026-02-30T00:00:00Z",
    "2023-02-29T12:00:00Z",
    "2026-11-23T25:00:00Z",
    "2026-11-23T24:00:01Z",
    "2026-11-23T20:60:00Z",
    "2026-11-23T20:05:61Z",
    "2026-11-23T20:05:17+24:00",
    "2026-11-23T20:05:17+99:99",
    "2026-11-23T20:05:17 PM",
    "23.11.2026",
    "23.13.2026 20:05:17",
    "2026/11-23 20:05:17",
    "20261323200517",
    "11/23/2026 20:05",
    "0000-01-01T00:00:00Z",
    "10000-01-01T00:00:00Z",
    "-2026-11-23T20:05:17Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-01:00",
    "9999-12-31T24:00:00Z",
    "9999-12-31T23:59:60Z",
    "٢٠٢٦-11-23T20:05:17Z",
    "\ud800",
    "2026-\ud800",
    "9" * 100_000,
    "2026-11-23T20:05:60." + "1" * 100_000,
)


@pytest.mark.parametrize(("text", "moment"), READ.items())
def test_reads(text: str, moment: str) -> None:
    found = parse_utc(text)
    assert found is not None
    assert found.isoformat() == moment
    assert found.tzinfo is UTC


@pytest.mark.parametrize("text", NO_TIME)
def test_what_is_no_time_is_none(text: str) -> None:
    assert parse_utc(text) is None


@pytest.mark.parametrize("text", ["2026-08-04T13:35:45.377", "2026-08-04t13:35:45.377", "2026-08-04 13:35:45.377"])
def test_a_time_without_zone_is_one_of_the_station(text: str) -> None:
    assert parse_utc(text, BERLIN) == datetime(2026, 8, 4, 11, 35, 45, 377000, UTC)


@pytest.mark.parametrize("text", ["2026-08-04T13:35:45Z", "2026-08-04t13:35:45z", "2026-08-04 13:35:45 +00"])
def test_a_time_with_zone_does_not_care_for_the_station_s(text: str) -> None:
    assert parse_utc(text, BERLIN) == datetime(2026, 8, 4, 13, 35, 45, 0, UTC)


def test_the_edge_of_the_calendar_in_another_zone_is_no_time() -> None:
    assert parse_utc("9999-12-31T23:00:00", ZoneInfo("America/New_York")) is None
    assert parse_utc("0001-01-01 00:00:00", timezone(timedelta(hours=14))) is None


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 11, 23, 20, 5, 17, 123999, UTC), "2026-11-23T20:05:17.123Z"),
        (datetime(2026, 11, 23, 20, 5, 17, 0, timezone(timedelta(0))), "2026-11-23T20:05:17.000Z"),
        (datetime(2026, 8, 4, 13, 35, 45, 0, BERLIN), "2026-08-04T11:35:45.000Z"),
        (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000Z"),
    ],
)
def test_writes_milliseconds_of_utc(moment: datetime, text: str) -> None:
    assert format_utc(moment) == text


def test_a_naive_time_is_not_written() -> None:
    with pytest.raises(ValueError, match="zone"):
        format_utc(datetime(2026, 1, 1))


@given(st.datetimes(timezones=st.sampled_from([UTC, BERLIN, timezone(timedelta(hours=-11, minutes=-30))])))
def test_what_was_written_is_read_back_to_the_millisecond(moment: datetime) -> None:
    try:
        wanted = moment.astimezone(UTC)
    except OverflowError:
        return
    assert parse_utc(format_utc(moment)) == wanted.replace(microsecond=wanted.microsecond // 1000 * 1000)


@given(st.datetimes(timezones=st.just(UTC)), st.sampled_from("Tt "), st.sampled_from(["Z", "z", "+00:00", "-0000"]))
def test_every_way_to_write_a_moment_is_the_same_moment(moment: datetime, between: str, zone: str) -> None:
    assert parse_utc(moment.replace(tzinfo=None).isoformat(between) + zone) == moment


@given(st.text() | st.text("0123456789-:.TtZz+ ,", max_size=40) | st.from_regex(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d.*"))
@example("2026-11-23T20:05:17+00:00:00.000001")
def test_nothing_raises_and_all_that_is_read_is_utc(text: str) -> None:
    found = parse_utc(text, BERLIN)
    assert found is None or found.tzinfo is UTC
