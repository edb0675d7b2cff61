"""What is on show when, and how it moves: pure functions of messages and time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from arthexis_lcd.lanes import Lane, Message, Shown, Size, lay_out, rows, turn
from hypothesis import given
from hypothesis import strategies as st

SIZE = Size(columns=16, rows=2, step_s=0.5, head_s=1.0, shortest_s=3.0)
CLOCK = Message(0, Lane.CLOCK, "0 open, 2 online", "garage     12:00")


def event(serial: int, text: str = "", **others: Any) -> Message:
    return Message(serial, Lane.EVENT, text or f"event {serial}", **others)


def alarm(serial: int, **others: Any) -> Message:
    return Message(serial, Lane.ALARM, f"alarm {serial}", **others)


def played(messages: Iterable[Message], times: Iterable[float], came: dict[int, float] | None = None) -> list[int]:
    """The serials on show at these times; ``came`` says since when a message is there."""
    shown, seen = Shown(), []
    for now in times:
        there = [m for m in messages if now >= (came or {}).get(m.serial, 0.0)]
        shown = turn(there, shown, now, SIZE)
        seen.append(shown.message.serial if shown.message is not None else -1)
    return seen


def test_the_clock_stands_where_there_is_nothing_else() -> None:
    shown = turn([CLOCK], Shown(), 5.0, SIZE)
    assert rows(shown, 5.0, SIZE) == ["garage     12:00", "0 open, 2 online"]


def test_nothing_to_show_is_an_empty_display() -> None:
    assert rows(turn([], Shown(), 0.0, SIZE), 0.0, SIZE) == [" " * 16] * 2


def test_an_event_covers_the_clock_until_it_expires() -> None:
    assert played([CLOCK, event(1, until=10.0)], [0, 5, 9.9, 10, 11]) == [1, 1, 1, 0, 0]


def test_an_event_that_expires_early_is_still_shown_for_the_shortest_time() -> None:
    assert played([CLOCK, event(1, until=1.0)], [0, 1, 2.9, 3]) == [1, 1, 1, 0]


def test_an_alarm_comes_at_once_and_the_event_after_it_if_it_is_still_worth_it() -> None:
    lasting, passing = event(1, until=60.0), event(1, until=4.0)
    came = {2: 3.5}
    assert played([CLOCK, lasting, alarm(2, until=9.0)], [0, 3.5, 5, 9, 10], came) == [1, 2, 2, 1, 1]
    assert played([CLOCK, passing, alarm(2, until=9.0)], [0, 3.5, 5, 9, 10], came) == [1, 2, 2, 0, 0]


def test_a_fresh_event_has_its_turn_once_between_turns_of_an_alarm() -> None:
    messages = [CLOCK, alarm(1, until=300.0), event(2, until=12.0)]
    assert played(messages, [0, 1, 2.9, 3, 5.9, 6, 9, 11], {2: 1.0}) == [1, 1, 1, 2, 2, 1, 1, 1]


def test_an_alarm_that_scrolls_for_long_does_not_outlast_a_fresh_event() -> None:
    long = Message(1, Lane.ALARM, "plugin wifi_ap is unavailable " * 10)
    assert played([long, event(2, until=12.0)], [0, 5, 7.9, 8, 20], {2: 4.0}) == [1, 2, 2, 1, 1]


def test_a_new_alarm_cuts_an_event_short_and_the_event_comes_back_for_its_full_time() -> None:
    assert played([event(1, until=60.0), alarm(2)], [0, 1, 3.9, 4, 6.9, 7, 20], {2: 1.0}) == [1, 2, 2, 1, 1, 2, 2]


def test_everything_fresh_below_an_alarm_is_seen_the_highest_first_and_never_two_without_the_alarm() -> None:
    status = Message(4, Lane.STATUS, "status", until=60.0)
    messages = [CLOCK, status, alarm(1), event(2, until=60.0), event(3, until=60.0)]
    assert played(messages, range(0, 27, 3)) == [1, 2, 1, 3, 1, 4, 1, 1, 1]


def test_what_nobody_has_seen_goes_first_then_all_take_turns() -> None:
    messages = [event(1), event(2), event(3)]
    assert played(messages, range(0, 24, 3), {3: 4.0}) == [1, 2, 3, 1, 2, 3, 1, 2]


def test_a_newer_event_waits_until_the_one_on_show_had_its_time() -> None:
    assert played([event(1), event(2)], [0, 1, 2, 2.9, 3], {2: 0.5}) == [1, 1, 1, 1, 2]


def test_what_is_renewed_under_its_serial_goes_on_where_it_was() -> None:
    shown = turn([event(1, "1.2 kWh")], Shown(), 0.0, SIZE)
    shown = turn([event(1, "1.3 kWh")], shown, 2.0, SIZE)
    assert (shown.since, rows(shown, 2.0, SIZE)[0].rstrip()) == (0.0, "1.3 kWh")


def test_what_is_taken_away_is_gone_at_once() -> None:
    shown = turn([CLOCK, event(1)], Shown(), 0.0, SIZE)
    assert turn([CLOCK], shown, 0.1, SIZE).message == CLOCK


@pytest.mark.parametrize(
    ("text", "title", "wanted"),
    [
        ("Hello", "", ["Hello", ""]),
        ("Station CP-1 has a fault", "", ["Station CP-1 has", "a fault"]),
        ("0123456789abcdef", "Title", ["Title", "0123456789abcdef"]),
        ("one\ntwo", "", ["one", "two"]),
    ],
)
def test_what_fits_stands_still(text: str, title: str, wanted: list[str]) -> None:
    shown = turn([event(1, text, title=title)], Shown(), 0.0, SIZE)
    for now in (0.0, 2.0, 50.0):
        assert [row.rstrip() for row in rows(shown, now, SIZE)] == wanted


def test_a_long_text_stands_first_then_moves_and_begins_again() -> None:
    shown = turn([event(1, "0123456789abcdefGHIJ", title="Title")], Shown(), 0.0, SIZE)
    seen = [rows(shown, now, SIZE)[1] for now in (0.0, 1.0, 1.49, 1.5, 2.0, 3.0, 4.0, 11.9, 12.0)]
    assert seen == [
        "0123456789abcdef",
        "0123456789abcdef",
        "0123456789abcdef",
        "123456789abcdefG",
        "23456789abcdefGH",
        "456789abcdefGHIJ",
        "6789abcdefGHIJ  ",
        "  0123456789abcd"[1:] + "e",
        "0123456789abcdef",
    ]


def test_words_are_kept_in_the_first_row_and_the_rest_moves() -> None:
    shown = turn([event(1, "A charging station in the garage is out of order")], Shown(), 0.0, SIZE)
    assert rows(shown, 0.0, SIZE) == ["A charging      ", "station in the g"]
    assert rows(shown, 2.0, SIZE)[0] == "A charging      "


def test_a_text_that_moves_is_shown_once_through_before_the_next() -> None:
    long = event(1, "0123456789abcdefGHIJ", title="Title")
    assert played([long, event(2)], [0, 3, 11.9, 12.1]) == [1, 1, 1, 2]


@pytest.mark.parametrize(
    ("title", "text", "wanted"),
    [
        (
            "Plugin wifi_ap is unavailable",
            "Plugin wifi_ap is unavailable: NetworkManager is not there",
            ["Plugin wifi_ap  ", "is unavailable: "],
        ),
        ("The charging park is closed", "It opens again at eight", ["The charging    ", "park is closed: "]),
    ],
)
def test_two_rows_never_move_at_once_and_a_long_title_goes_on_in_the_text(
    title: str, text: str, wanted: list[str]
) -> None:
    shown = turn([event(1, text, title=title)], Shown(), 0.0, SIZE)
    assert rows(shown, 0.0, SIZE) == wanted
    assert {rows(shown, step / 2, SIZE)[0] for step in range(100)} == {wanted[0]}


messages_of = st.lists(
    st.builds(
        Message,
        serial=st.integers(1, 12),
        lane=st.sampled_from(Lane),
        text=st.text("abc déÉ\n", max_size=70),
        title=st.text("xyz ", max_size=30),
        until=st.none() | st.floats(0, 100),
    ),
    max_size=8,
    unique_by=lambda message: message.serial,
)


@given(messages_of, st.lists(st.floats(0, 5), max_size=20), st.sampled_from([(16, 2), (20, 4), (16, 4)]))
def test_there_are_always_as_many_rows_of_one_width_and_below_the_highest_lane_only_what_is_new(
    messages: list[Message], steps: list[float], shape: tuple[int, int]
) -> None:
    size = Size(*shape)
    shown, now = Shown(), 0.0
    for step in steps:
        now += step
        before, shown = shown, turn(messages, shown, now, size)
        assert [len(row) for row in rows(shown, now, size)] == [size.columns] * size.rows
        assert shown.message is None or sum(len(row) > size.columns for row in lay_out(shown.message, size)) <= 1
        alive = [m.lane for m in messages if m.until is None or now < m.until]
        if alive:
            assert shown.message is not None
            goes_on = before.message is not None and before.message.serial == shown.message.serial
            news = shown.message.serial not in before.seen
            assert shown.message.lane >= max(alive) or ((goes_on or news) and shown.message.lane > Lane.CLOCK)
