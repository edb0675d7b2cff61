"""The driver of the MFRC522 against a chip and cards that are virtual to the byte."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from arthexis_rfid import blocks
from arthexis_rfid.blocks import KEY_B, Key
from arthexis_rfid.cards import Card as Seen
from arthexis_rfid.cards import Misread, card
from arthexis_rfid.drivers.mfrc522 import Chip, Field, Mfrc522, crc_a
from arthexis_rfid.settings import Reader

from arthexis import DomainError, Unavailable
from plugins.rfid.tests.chips import Card, Mfrc522Chip, patched
from plugins.rfid.tests.chips import crc_a as crc_a_bit_by_bit

UIDS = ["04A1B2C3", "04E141124C2880", "04112233445566778899"]
TEXT = b"hello arthexis!!"


def field(*cards: Card) -> Field:
    return Field(Chip(Mfrc522Chip(*cards), "test"))


def ids(found: Any) -> set[str]:
    return {seen.id for seen in found}


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Mfrc522, Mfrc522Chip, Iterator[Any]]]:
    chip = Mfrc522Chip()
    patched(monkeypatch, chip)
    monkeypatch.setattr("arthexis_rfid.drivers.mfrc522.POLL_S", 0.0)
    driver = Mfrc522(Reader(name="desk", driver="mfrc522"))
    looks = driver.watch()
    yield driver, chip, looks
    looks.close()  # type: ignore[attr-defined]
    assert chip.closed


def on(reader: Any, found: Card) -> Any:
    """The memory of a card that was seen on the reader."""
    driver, chip, looks = reader
    chip.cards = [found]
    (seen,) = next(looks)
    return seen, driver.blocks(seen)


@pytest.mark.parametrize("data", [b"\x00\x00", b"\x12\x34", bytes(range(40))])
def test_check_bytes_are_those_of_iso_14443_3(data: bytes) -> None:
    assert crc_a(data) == crc_a_bit_by_bit(data)
    assert crc_a(b"\x00\x00") == b"\xa0\x1e"  # the example of ISO 14443-3, annex B


@pytest.mark.parametrize("uid", UIDS)
def test_a_uid_of_any_length_is_read_whole(uid: str) -> None:
    assert field(Card(uid)).all() == (card(bytes.fromhex(uid), sak=0x08),)


def test_nothing_in_the_field_is_nothing() -> None:
    assert field().all() == ()


@pytest.mark.parametrize("pair", [*itertools.combinations(UIDS, 2), ("04A1B2C3", "04A1B2C7"), ("04A1B2C3", "84A1B2C3")])
def test_two_cards_at_once_are_told_apart(pair: tuple[str, str]) -> None:
    assert ids(field(*map(Card, pair)).all()) == set(pair)


def test_cards_that_differ_in_every_bit_position_are_told_apart() -> None:
    for uid in [f"{0x11111111 ^ 1 << bit:08X}" for bit in range(32)]:
        assert ids(field(Card(uid), Card("11111111")).all()) == {uid, "11111111"}


def test_several_cards_that_collide_more_than_once_are_told_apart() -> None:
    uids = ["01020304", "01020305", "01020704", "09020304", "04E141124C2880", "04E141124C2881"]
    assert ids(field(*map(Card, uids)).all()) == set(uids)


def test_cards_that_stay_are_seen_at_every_look() -> None:
    there = field(Card(UIDS[0]), Card(UIDS[1]))
    assert [ids(there.all()) for _ in range(3)] == [set(UIDS[:2])] * 3


def test_a_card_whose_check_byte_is_wrong_is_not_taken() -> None:
    spoiled = type("Spoiled", (Card,), {"levels": property(lambda _: [bytes.fromhex("04A1B2C300")])})(UIDS[0])
    assert field(spoiled).all() == ()


def test_a_card_that_never_ends_is_no_card() -> None:
    endless = type("Endless", (Card,), {"levels": property(lambda _: [b"\x88\x01\x02\x03\x88"] * 4)})(UIDS[0])
    (seen,) = field(endless).all()
    assert isinstance(seen, Misread)


@pytest.mark.parametrize("version", [0x00, 0xFF])
def test_without_a_chip_the_cure_is_the_wiring(version: int) -> None:
    with pytest.raises(Unavailable, match=f"version register reads {version:02X}") as missing:
        Chip(Mfrc522Chip(version=version), "/dev/spidev0.0")
    assert "3.3 V" in missing.value.cure


def test_a_chip_that_is_unplugged_is_missed(reader: Any) -> None:
    _, chip, looks = reader
    next(looks)
    chip.absent = True
    with pytest.raises(Unavailable, match="no MFRC522 answers"):
        list(itertools.islice(looks, 20))


def test_a_chip_that_was_reset_by_its_supply_is_set_up_again(reader: Any) -> None:
    _, chip, looks = reader
    chip.cards = [Card(UIDS[0])]
    next(looks)
    chip._reset()
    assert ids(next(looks)) == {UIDS[0]}


@pytest.mark.parametrize("uid", UIDS)
@pytest.mark.parametrize("key", [Key(), Key(kind=KEY_B)])
def test_a_block_is_written_and_read_back(reader: Any, uid: str, key: Key) -> None:
    seen, memory = on(reader, Card(uid))
    with memory as opened:
        blocks.write(opened, seen.sak, 4, TEXT, key)
        assert blocks.read(opened, seen.sak, 4, key) == TEXT
    assert reader[1].cards[0].blocks[4] == TEXT
    assert next(reader[2])[0].id == uid  # and the card is still seen


def test_a_wrong_key_opens_nothing_and_spoils_nothing(reader: Any) -> None:
    seen, memory = on(reader, Card(UIDS[0]))
    with memory as opened:
        with pytest.raises(DomainError, match="key does not open block 4"):
            blocks.read(opened, seen.sak, 4, Key(bytes(6)))
        assert blocks.read(opened, seen.sak, 4, Key()) == bytes(16)


def test_a_card_that_is_taken_away_meanwhile_is_gone(reader: Any) -> None:
    seen, memory = on(reader, Card(UIDS[0]))
    with memory as opened:
        reader[1].cards.clear()
        with pytest.raises(DomainError, match="card is gone"):
            blocks.read(opened, seen.sak, 4, Key())


def test_another_card_than_the_one_that_was_seen_is_never_touched(reader: Any) -> None:
    _, memory = on(reader, Card(UIDS[0]))
    reader[1].cards = [Card(UIDS[1])]
    with pytest.raises(DomainError, match="card is gone"), memory:
        raise AssertionError


@pytest.mark.parametrize(("block", "why"), [(0, "the manufacturer's"), (3, "sector trailer"), (63, "sector trailer")])
def test_keys_and_uid_are_not_written_without_force(reader: Any, block: int, why: str) -> None:
    seen, memory = on(reader, Card(UIDS[0]))
    before = [bytes(each) for each in reader[1].cards[0].blocks]
    with memory as opened, pytest.raises(DomainError, match=why):
        blocks.write(opened, seen.sak, block, TEXT, Key())
    assert [bytes(each) for each in reader[1].cards[0].blocks] == before


def test_a_trailer_is_written_with_force(reader: Any) -> None:
    fresh = bytes.fromhex("A0A1A2A3A4A5FF078069FFFFFFFFFFFF")
    seen, memory = on(reader, Card(UIDS[0]))
    with memory as opened:
        blocks.write(opened, seen.sak, 7, fresh, Key(), force=True)
    assert reader[1].cards[0].blocks[7] == fresh


def test_pages_of_an_ultralight_need_no_key(reader: Any) -> None:
    seen, memory = on(reader, Card(UIDS[1], sak=0))
    with memory as opened:
        blocks.write(opened, seen.sak, 4, b"page", Key())
        assert blocks.read(opened, seen.sak, 4, Key()) == b"page"


@pytest.mark.parametrize("page", [0, 2, 3, 40, 44])
def test_locks_and_settings_of_an_ntag_are_not_written_without_force(reader: Any, page: int) -> None:
    seen, memory = on(reader, Card(UIDS[1], sak=0))
    with memory as opened, pytest.raises(DomainError, match=r"beyond the pages|UID, locks"):
        blocks.write(opened, seen.sak, page, b"page", Key())


def test_what_the_card_refuses_to_write_is_said(reader: Any) -> None:
    locked = Card(UIDS[0])
    locked.read_only = {5}
    seen, memory = on(reader, locked)
    with memory as opened, pytest.raises(DomainError, match="block 5 cannot be written"):
        blocks.write(opened, seen.sak, 5, TEXT, Key())


def test_a_card_without_blocks_is_refused(reader: Any) -> None:
    seen, memory = on(reader, Card(UIDS[1], sak=0x20))
    with memory as opened, pytest.raises(DomainError, match="SAK 20"):
        blocks.read(opened, seen.sak, 4, Key())


@pytest.mark.parametrize("data", [b"", b"short", b"x" * 17])
def test_a_block_is_filled_exactly(reader: Any, data: bytes) -> None:
    seen, memory = on(reader, Card(UIDS[0]))
    with memory as opened, pytest.raises(DomainError, match="do not fill a block of 16"):
        blocks.write(opened, seen.sak, 4, data, Key())


def test_a_seen_card_has_its_kind() -> None:
    (seen,) = field(Card(UIDS[1], sak=0)).all()
    assert isinstance(seen, Seen)
    assert blocks.kind_of(seen.sak) == blocks.ULTRALIGHT
