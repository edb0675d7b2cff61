"""Cards by their bytes: what a UID is, what is none, and the other texts of the same card."""

from __future__ import annotations

import pytest
from arthexis_rfid.cards import EM4100, Card, Misread, card, forms, typed, written
from arthexis_rfid.presence import Presence
from arthexis_rfid.settings import Reader, Settings
from hypothesis import given
from hypothesis import strategies as st

from arthexis import DomainError

SEVEN, TEN = "04E141124C2880", "04112233445566778899"


@pytest.mark.parametrize(
    ("raw", "uid"),
    [
        ("04A1B2C3", "04A1B2C3"),
        ("DEADBEEF22", "DEADBEEF"),
        (SEVEN, SEVEN),
        ("8804E14112 4C2880", SEVEN),
        ("8804E1412C 124C2880F6", SEVEN),
        (f"{SEVEN}F6", SEVEN),
        (TEN, TEN),
        ("88041122BF 88334455AA 6677889900", "041122334455" + "66778899"),
    ],
)
def test_a_uid_is_what_goes_over_the_air_without_check_bytes_and_cascade_tags(raw: str, uid: str) -> None:
    assert card(bytes.fromhex(raw)).id == uid


@pytest.mark.parametrize("raw", ["8804E141", "8804E1412C", "88112233FF"])
def test_the_first_part_of_a_longer_uid_is_refused(raw: str) -> None:
    with pytest.raises(DomainError, match="first part of a longer UID") as refused:
        card(bytes.fromhex(raw))
    assert "cascade levels" in refused.value.cure


@pytest.mark.parametrize("raw", ["", "04", "04A1B2", "04A1B2C3D5", "04A1B2C3D4E5", "00000000", "11" * 11])
def test_what_is_no_uid_is_refused(raw: str) -> None:
    with pytest.raises(DomainError):
        card(bytes.fromhex(raw))


def test_random_uids_are_flagged_and_have_no_other_texts() -> None:
    assert card(bytes.fromhex("08112233")).random
    assert forms(card(bytes.fromhex("08112233"))) == {}
    assert not card(bytes.fromhex("04112233")).random
    assert not card(bytes.fromhex("08112233445566")).random


def test_the_number_of_a_125_khz_card_keeps_all_its_bytes() -> None:
    assert card(bytes.fromhex("DEADBEEF22"), EM4100).id == "DEADBEEF22"
    assert card(bytes.fromhex("4500A1B2C3"), EM4100).id == "4500A1B2C3"


def test_the_other_texts_of_a_card() -> None:
    assert forms(written("00BC614E")) == {
        "decimal": "0012345678",
        "decimal-reversed": "1315027968",
        "legacy": "00BC614E93",
        "reversed": "4E61BC00",
        "wiegand26": "18824910",
        "wiegand26-reversed": "09748128",
    }
    assert forms(card(bytes.fromhex("4500A1B2C3"), EM4100), ["decimal", "hex8"]) == {
        "decimal": "0010597059",
        "hex8": "00A1B2C3",
    }
    assert set(forms(written(TEN))) == {"reversed", "wiegand26", "wiegand26-reversed"}


@pytest.mark.parametrize(
    ("text", "reads", "uid"),
    [
        ("04a1b2c3", "hex", "04A1B2C3"),
        ("04:A1:B2:C3", "hex", "04A1B2C3"),
        ("C3B2A104", "hex-reversed", "04A1B2C3"),
        ("0012345678", "decimal", "00BC614E"),
        ("0012345678", "decimal-reversed", "4E61BC00"),
        (str(int(SEVEN, 16)), "decimal", SEVEN),
    ],
)
def test_what_a_reader_types_is_read_as_it_is_set(text: str, reads: str, uid: str) -> None:
    assert typed(text, reads).id == uid


@pytest.mark.parametrize(
    ("text", "reads"),
    [
        ("", "hex"),
        ("4A1", "hex"),
        ("XYZ", "hex"),
        ("٣٣٣", "decimal"),
        ("9" * 30, "decimal"),
        ("", "text"),
        ("x" * 21, "text"),
    ],
)
def test_what_is_not_written_so_is_refused(text: str, reads: str) -> None:
    with pytest.raises(DomainError):
        typed(text, reads)


def test_a_token_that_is_only_text_stays_as_it_is() -> None:
    assert typed(" Visitor-7\r", "text") == Card("Visitor-7", "text")


@given(st.one_of(*(st.binary(min_size=n, max_size=n) for n in (4, 7, 10))))
def test_a_whole_uid_is_never_changed(uid: bytes) -> None:
    if uid[0] != 0x88 and any(uid):
        assert card(uid).uid == uid or (len(uid) == 10 and uid[4] == uid[0] ^ uid[1] ^ uid[2] ^ uid[3])


@given(st.binary(max_size=20))
def test_whatever_comes_is_a_card_or_refused(raw: bytes) -> None:
    try:
        found = card(raw)
    except DomainError as error:
        assert error.cure
    else:
        assert len(found.uid) in {4, 7, 10}
        assert len(found.id) <= 20


# ---------------------------------------------------------------------- presence

ONE, TWO = written("04A1B2C3"), written(SEVEN)


def kinds(presence: Presence, *looks: tuple[float, tuple[Card, ...]]) -> list[str]:
    return [change.kind for now, seen in looks for change in presence.see(seen, now)]


def test_a_card_that_is_seen_again_and_again_is_one_presentation() -> None:
    looks = [(n / 10, (ONE,)) for n in range(10)]
    assert kinds(Presence(1.0, 2.0), *looks) == ["scanned"]


def test_a_card_that_is_missed_for_a_moment_was_there_all_the_time() -> None:
    assert kinds(Presence(1.0, 9.0), (0.0, (ONE,)), (0.1, ()), (0.9, (ONE,)), (1.8, (ONE,))) == ["scanned"]


def test_a_card_that_comes_back_later_is_another_presentation() -> None:
    looks = [(0.0, (ONE,)), (0.5, ()), (1.1, ()), (1.2, (ONE,))]
    assert kinds(Presence(1.0, 9.0), *looks) == ["scanned", "removed", "scanned"]


def test_a_card_that_stays_is_held_once() -> None:
    assert kinds(Presence(1.0, 2.0), *[(n / 2, (ONE,)) for n in range(20)]) == ["scanned", "held"]


def test_two_cards_are_two_presentations_and_leave_one_by_one() -> None:
    looks = [(0.0, (ONE, TWO)), (0.6, (TWO,)), (1.2, (TWO,)), (2.4, ())]
    assert kinds(Presence(1.0, 9.0), *looks) == ["scanned", "scanned", "removed", "removed"]


def test_noise_fills_no_memory() -> None:
    presence = Presence(60.0, 2.0)
    for number in range(5_000):
        presence.see((Misread(f"{number}", "noise", "none"),), number / 1_000)
    assert len(presence.there) == 64
    assert [change.kind for change in presence.see((ONE,), 5.0)] == ["scanned"]
    for number in range(1, 5_000):
        presence.see((written(f"{number:08X}"),), 5.0)
    assert len(presence.there) == 1_000


def test_with_the_reader_everything_on_it_is_gone() -> None:
    presence = Presence(1.0, 2.0)
    presence.see((ONE, TWO), 0.0)
    assert [change.kind for change in presence.clear()] == ["removed", "removed"]
    assert presence.there == ()


# ---------------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("reader", "told"),
    [
        ({"driver": "serial"}, "needs a device"),
        ({"driver": "keyboard"}, "needs a device"),
        ({"driver": "virtual", "baud": 9600}, "baud is not for the driver virtual"),
        ({"driver": "pcsc", "reads": "hex"}, "reads is not for the driver pcsc"),
        ({"driver": "virtual", "on_scan": "start"}, "needs a station"),
    ],
)
def test_settings_that_cannot_work_are_refused(reader: dict[str, object], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        Reader(name="desk", **reader)  # type: ignore[arg-type]


def test_two_readers_of_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="two readers are called desk"):
        Settings(readers=[Reader(name="desk", driver="virtual"), Reader(name="desk", driver="pcsc")])
