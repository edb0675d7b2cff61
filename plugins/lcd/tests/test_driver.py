"""The driver against a chip that understands bytes: what a person reads is what was wanted, and nothing is too fast."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from arthexis_lcd import charset, font, hd44780
from arthexis_lcd.display import Display
from arthexis_lcd.virtual import VirtualDisplay
from hypothesis import given, settings
from hypothesis import strategies as st

SIZES = [(16, 2), (20, 4), (16, 4), (20, 2)]
LANGUAGES = {
    "Spanish": ("¿Cuánto cuesta?", "Año ÑANDÚ ¡olé!"),
    "German": ("Größe: 11 kW", "Füße ÄÖÜ ß"),
    "French": ("Énergie délivrée", "à la borne n°3 ç"),
    "Czech": ("Nabíjení běží", "žluťoučký kůň"),
    "Polish": ("Ładowanie", "zakończone ż ó ł"),
}


def brought_up(columns: int = 16, rows: int = 2, rom: str = "A00") -> tuple[VirtualDisplay, Display]:
    virtual = VirtualDisplay(columns, rows, rom)
    display = Display(virtual, columns, rows, rom)
    display.begin()
    return virtual, display


def read(virtual: VirtualDisplay) -> list[str]:
    return [line.rstrip() for line in virtual.lines()]


@pytest.mark.parametrize(("columns", "rows"), SIZES)
def test_a_display_comes_up_empty_and_within_the_datasheet_s_times(columns: int, rows: int) -> None:
    virtual, _ = brought_up(columns, rows)
    assert virtual.lines() == [" " * columns] * rows
    assert list(virtual.chip.complaints) == []
    assert virtual.light


@pytest.mark.parametrize(("columns", "rows"), SIZES)
def test_every_row_stands_where_it_belongs(columns: int, rows: int) -> None:
    virtual, display = brought_up(columns, rows)
    wanted = [f"row {row}".ljust(columns - 1, ".") + str(row) for row in range(rows)]
    assert display.draw(wanted) == wanted
    assert virtual.lines() == wanted
    assert list(virtual.chip.complaints) == []


@pytest.mark.parametrize("rom", ["A00", "A02"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_accents_are_read_as_they_were_written(language: str, rom: str) -> None:
    virtual, display = brought_up(rom=rom)
    display.draw(LANGUAGES[language])
    assert read(virtual) == list(LANGUAGES[language])


def test_what_cannot_be_shown_is_the_nearest_letter_or_a_question_mark() -> None:
    virtual, display = brought_up()
    display.draw(["“ﬁn” … ế 日本 🚗", "Zażółć\tgęślą\u200b…"])
    assert read(virtual) == ['"fin" ... ê ?? ?', "Zażółć gęślą..."]


def test_more_than_eight_accents_lose_theirs_the_rarest_first() -> None:
    virtual, display = brought_up()
    display.draw(["ěščřžýáíéúů", "áíéáíéáíéúů"])
    top, bottom = read(virtual)
    assert bottom == "áíéáíéáíéúů"
    assert top[6:] == "áíéúů"
    assert top[:6] == "ěščrzy"


def test_a_taught_character_is_kept_while_it_is_needed_and_makes_room_by_age() -> None:
    virtual, display = brought_up()
    for text in ("áéíóúÁÉÍ", "áéíóúÁÉÓ", "áéíóúÁÉÍ"):
        display.draw([text])
        assert read(virtual)[0] == text
    before = len(virtual.bytes)
    display.draw(["ÍÉÁúóíéá"])
    assert len(virtual.bytes) - before <= 2 + 4 * 9 + 2, "all of them are known: nothing is taught"


def test_nothing_is_sent_twice_and_a_change_costs_little() -> None:
    virtual, display = brought_up()
    display.draw(["CP-1 #2", "12.34 kWh 45 min"])
    sent, transfers = len(virtual.bytes), virtual.transfers
    display.draw(["CP-1 #2", "12.34 kWh 45 min"])
    assert (len(virtual.bytes), virtual.transfers) == (sent, transfers)
    display.draw(["CP-1 #2", "12.36 kWh 46 min"])
    assert virtual.transfers - transfers == 2, "one transfer for each stretch that changed"
    assert len(virtual.bytes) - sent == 2 * (2 + 4 + 4)
    assert read(virtual)[1] == "12.36 kWh 46 min"


def test_a_row_is_one_transfer_of_four_bytes_for_each_character() -> None:
    virtual, display = brought_up()
    sent, transfers = len(virtual.bytes), virtual.transfers
    display.draw(["0123456789abcdef"])
    assert virtual.transfers - transfers == 1
    assert len(virtual.bytes) - sent == 1 + 4 + 1 + 4 * 16


def test_the_light_is_switched_without_touching_the_text() -> None:
    virtual, display = brought_up()
    display.draw(["Hello"], light=False)
    assert (virtual.light, read(virtual)[0]) == (False, "Hello")
    display.draw(["Hello"], light=True)
    assert (virtual.light, read(virtual)[0]) == (True, "Hello")


@pytest.mark.parametrize("after", [0, 1, 5, 17, 40, 63, 64, 65, 90])
def test_a_transfer_that_breaks_in_the_middle_is_made_good(after: int) -> None:
    virtual, display = brought_up()
    display.draw(["first", "frame"])
    virtual.refuses_after = after
    with pytest.raises(OSError, match="Remote I/O"):
        display.draw(["Énergie: 12 kWh", "and a second row"])
    display.begin()
    display.draw(["Énergie: 12 kWh", "and a second row"])
    assert read(virtual) == ["Énergie: 12 kWh", "and a second row"]
    left = ["the data changed together with E"]  # where E was high when it broke, nobody can know what stood beside it
    assert list(virtual.chip.complaints) in ([], left)


def test_a_lost_nibble_garbles_the_display_until_it_is_refreshed() -> None:
    virtual, display = brought_up()
    display.draw(["Hello", "world"])
    virtual.chip.lose_a_nibble()
    display.draw(["Hello there", "world"])
    assert read(virtual) != ["Hello there", "world"]
    display.refresh()
    display.draw(["Hello there", "world"])
    assert read(virtual) == ["Hello there", "world"]
    assert list(virtual.chip.complaints) == []


def test_a_refresh_brings_back_a_display_that_was_without_power_unnoticed() -> None:
    virtual, display = brought_up()
    display.draw(["Příliš", "kůň"])
    virtual.chip.power_up()
    virtual.pause(0.05)
    assert read(virtual) == ["", ""], "off"
    display.refresh()
    display.draw(["Příliš", "kůň"])
    assert read(virtual) == ["Příliš", "kůň"]
    assert list(virtual.chip.complaints) == []


@given(st.lists(st.tuples(st.integers(0, 15), st.booleans()), max_size=40))
@settings(max_examples=150, deadline=None)
def test_a_display_comes_up_from_whatever_was_sent_to_it_before(noise: list[tuple[int, bool]]) -> None:
    virtual = VirtualDisplay()
    virtual.pause(0.1)
    for value, is_data in noise:
        virtual.write(hd44780.nibble(value, int(is_data), 0))
        virtual.pause(0.005)
    virtual.chip.complaints.clear()
    display = Display(virtual)
    display.begin()
    display.draw(["Ready", "žádný problém"])
    assert read(virtual) == ["Ready", "žádný problém"]
    assert list(virtual.chip.complaints) == []


LETTERS = "".join(sorted({*map(chr, range(0x20, 0x7F)), *"áéíóúñÑÉäöüßçěščřžýůďťňĺŕąęłżźŁ°µ→€日🚗"}))


@given(st.lists(st.lists(st.text(LETTERS, max_size=24), min_size=1, max_size=4), min_size=1, max_size=8), st.data())
@settings(max_examples=150, deadline=None)
def test_whatever_is_shown_after_whatever_it_is_read_as_it_should(frames: list[list[str]], data: st.DataObject) -> None:
    columns, rows = data.draw(st.sampled_from(SIZES))
    rom = data.draw(st.sampled_from(["A00", "A02"]))
    virtual, display = brought_up(columns, rows, rom)
    for frame in frames:
        if data.draw(st.integers(0, 5)) == 0:
            display.refresh()
        shown = display.draw(frame)
        assert virtual.lines() == shown
        wanted = [
            charset.legible(line[:columns], rom)[:columns].ljust(columns) for line in [*frame, *[""] * rows][:rows]
        ]
        for got, want in zip("".join(shown), "".join(wanted), strict=True):
            assert got in {want, charset.base(want, rom)}
        strange = {c for line in wanted for c in line} - set(charset.ROMS[rom])
        assert len(strange) > 8 or shown == wanted
    assert list(virtual.chip.complaints) == []


def drawn() -> Iterator[str]:
    """Every character that can be taught."""
    for character in map(chr, itertools.chain(range(0xA1, 0x250), range(0x1E00, 0x1EFF))):
        if character not in charset.ROMS["A00"] and font.dots(character) is not None:
            yield character


def test_no_two_letters_of_a_language_look_alike() -> None:
    letters = "áéíóúüñÁÉÍÓÚÜÑäöüÄÖÜßàâçèêëîïôûùœæÀÂÇÈÊËÎÏÔÛÙŒÆěščřžýůďťňĚŠČŘŽÝŮĎŤŇ"
    letters += "ąćęłńśźżľĺŕĽĹŔĄĆĘŁŃŚŹŻőűŐŰøåØÅãõÃÕăâîșțĂÎȘȚ"
    looks = {letter: font.dots(letter) for letter in dict.fromkeys(letters + "".join(charset.ROMS["A00"]))}
    twins = [(a, b) for a, b in itertools.combinations(looks, 2) if looks[a] == looks[b]]
    assert twins == []


def test_a_taught_character_has_its_letter_in_it() -> None:
    assert len(list(drawn())) > 150
    for character in drawn():
        rows = font.dots(character)
        assert rows is not None
        assert len(rows) == font.HEIGHT
        assert max(rows) < 1 << font.WIDTH
