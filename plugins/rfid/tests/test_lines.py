"""Readers that only tell numbers, byte by byte: frames, lines and key strokes."""

from __future__ import annotations

from functools import reduce
from operator import xor

import pytest
from arthexis_rfid.cards import Card, Misread
from arthexis_rfid.drivers.keyboard import EVENT, KEYS, Typed
from arthexis_rfid.drivers.lines import Lines, Rdm6300
from hypothesis import given
from hypothesis import strategies as st

NUMBER = bytes.fromhex("4500A1B2C3")


def frame(number: bytes = NUMBER) -> bytes:
    return b"\x02" + number.hex().upper().encode() + f"{reduce(xor, number):02X}".encode() + b"\x03"


def ids(found: list[object]) -> list[str]:
    return [seen.id for seen in found if isinstance(seen, Card)]


def test_a_frame_is_a_card() -> None:
    assert ids(Rdm6300().feed(frame())) == ["4500A1B2C3"]


def test_a_frame_that_comes_in_pieces_behind_noise_is_a_card() -> None:
    parser = Rdm6300()
    pieces = [b"\xff\x02garb", frame()[:6], frame()[6:13], frame()[13:] + b"\x02"]
    assert [ids(parser.feed(piece)) for piece in pieces] == [[], [], [], ["4500A1B2C3"]]


@pytest.mark.parametrize("place", range(1, 13))
def test_a_frame_with_a_wrong_digit_is_passed_over(place: int) -> None:
    spoiled = bytearray(frame())
    spoiled[place] = ord("7") if spoiled[place] != ord("7") else ord("8")
    parser = Rdm6300()
    assert ids(parser.feed(bytes(spoiled) + frame(bytes(5)))) == ["0000000000"]
    assert parser.spoiled


def test_a_frame_with_a_wrong_check_byte_says_what_to_compare_and_noise_does_not() -> None:
    spoiled = frame()[:11] + b"00\x03"
    (seen,) = Rdm6300().feed(spoiled)
    assert isinstance(seen, Misread)
    assert (seen.problem, "9600" in seen.cure) == ("frames with a wrong check byte", True)
    assert Rdm6300().feed(b"\xff\x02" + b"noise" * 20) == []


@given(st.binary(max_size=200), st.integers(1, 20))
def test_no_noise_keeps_the_next_frame_from_being_read(noise: bytes, step: int) -> None:
    parser, data = Rdm6300(), noise + frame()
    found = [seen for at in range(0, len(data), step) for seen in parser.feed(data[at : at + step])]
    assert "4500A1B2C3" in ids(found)


@given(st.binary(max_size=300), st.integers(1, 20))
def test_no_bytes_make_a_line_reader_fail_or_grow(noise: bytes, step: int) -> None:
    lines = Lines("hex", "iso14443a")
    for at in range(0, len(noise), step):
        lines.feed(noise[at : at + step])
    assert len(lines._rest) <= 65
    assert "04A1B2C3" in ids(lines.feed(b"\n04A1B2C3\r\n"))


def test_a_line_that_is_no_number_says_so() -> None:
    (seen,) = Lines("hex", "iso14443a").feed(b"hello\r\n")
    assert isinstance(seen, Misread)
    assert "reads" in seen.cure


def strokes(text: str) -> bytes:
    """What a wedge sends for a text: a scan code, key down, key up, and a report, for each letter."""
    codes = {letter: code for code, letter in KEYS.items() if code < 70} | {"\n": 28}
    out = b""
    for letter in text:
        code = codes[letter.lower()]
        shifted = [(1, 42, 1)] if letter.isupper() else []
        released = [(1, 42, 0)] if letter.isupper() else []
        for event in [(4, 4, 458), *shifted, (1, code, 1), (0, 0, 0), (1, code, 2), (1, code, 0), *released, (0, 0, 0)]:
            out += EVENT.pack(0, 0, *event)
    return out


@given(st.integers(1, 60))
def test_what_is_typed_is_read_however_the_events_are_cut(step: int) -> None:
    typed, data = Typed(), strokes("0012345678\n04a1B2c3\n")
    text = b"".join(typed.feed(data[at : at + step]) for at in range(0, len(data), step))
    assert text == b"0012345678\n04a1B2c3\n"


def test_keys_that_mean_nothing_are_nothing() -> None:
    assert Typed().feed(b"".join(EVENT.pack(0, 0, 1, code, 1) for code in (1, 59, 103, 125, 600))) == b""
