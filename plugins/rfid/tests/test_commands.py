"""``arthexis rfid``: through the running node, and alone."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from arthexis_rfid.commands import Seconds, _line
from arthexis_rfid.routes import desk_of
from click.testing import CliRunner, Result

from arthexis import Unavailable
from arthexis.cli.main import main
from arthexis.testing import node
from plugins.rfid.tests.chips import Card, Mfrc522Chip, patched
from plugins.rfid.tests.conftest import PLUGINS

UID, SEVEN = "04A1B2C3", "04E141124C2880"


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """``await command("rfid", "readers")``: the result of a command on the node of ``desk``, in a thread."""
    home = tmp_path / "node"
    monkeypatch.setenv("ARTHEXIS_HOME", str(home))
    monkeypatch.setenv("ARTHEXIS_CONFIG", str(home / "arthexis.toml"))
    return lambda *words: asyncio.to_thread(CliRunner().invoke, main, [*words])


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """``alone(driver, "rfid", "readers")``: the result of a command where no node runs."""
    config = tmp_path / "alone.toml"
    monkeypatch.setenv("ARTHEXIS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ARTHEXIS_CONFIG", str(config))

    def run(reader: str, *words: str) -> Result:
        head = '[node]\nrole = "bare"\nenable = ["arthexis-rfid:rfid"]\n'
        named = f'[[plugins.rfid.readers]]\nname = "desk"\n{reader}\n' if reader else ""
        config.write_text(head + named, encoding="utf-8")
        return CliRunner().invoke(main, [*words])

    return run


async def test_readers_are_listed_with_reason_and_cure(desk: Any, command: Any) -> None:
    async with desk({"driver": "virtual"}, {"driver": "serial", "device": "/dev/ttyNONE", "name": "gate"}) as at:
        await at.is_("ready")
        await at.is_("unavailable", "gate")
        said = (await command("rfid", "readers")).stdout
        assert "there is no such port" in said
        assert "/dev/serial/by-id" in said


async def test_watch_and_scan_print_the_card_that_comes(desk: Any, command: Any) -> None:
    async with desk({"driver": "virtual"}) as at:
        await at.node.ask("tags.add", id_tag=UID)
        run = [sys.executable, "-c", "from arthexis.cli.main import main; main()", "rfid"]
        pipe = asyncio.subprocess.PIPE
        watching = await asyncio.create_subprocess_exec(*run, "watch", "--for", "3s", stdout=pipe)
        scanning = await asyncio.create_subprocess_exec(*run, "scan", "--json", stdout=pipe)
        said = asyncio.gather(watching.communicate(), scanning.communicate())
        async with asyncio.timeout(60):
            while not said.done():
                assert (await command("rfid", "present", UID)).stdout.startswith(f"Card {UID}")
                await asyncio.sleep(0.4)
        (watched, _), (scanned, _) = said.result()
        assert f"desk  scanned  {UID}: Accepted" in watched.decode()
        assert f"desk  removed  {UID}" in watched.decode()
        assert json.loads(scanned)["status"] == "Accepted"


async def test_enrol_takes_cards_up_until_it_is_stopped(desk: Any, command: Any) -> None:
    async with desk({"driver": "virtual", "on_scan": "none"}) as at:
        assert "are let in at once" in (await command("rfid", "enrol", "--release", "--for", "5m")).stdout
        await at.scan(UID)
        assert [tag["id_tag"] for tag in await at.node.ask("tags.list")] == [UID]
        assert "does again what is configured: none" in (await command("rfid", "enrol", "--stop")).stdout


async def test_a_mode_names_the_station_that_a_card_starts(desk: Any, command: Any) -> None:
    async with desk() as at:
        await at.node.ask("stations.add", station="CP-1")
        refused = await command("rfid", "mode", "desk", "start")
        assert refused.exit_code == 5
        done = await command("rfid", "mode", "desk", "start", "--station", "CP-1", "--connector", "2", "--for", "1m")
        assert "start CP-1, connector 2, until" in done.stdout
        assert (await at.reader())["station"] == "CP-1"


async def test_a_reader_that_is_not_meant_clearly_is_asked_for(desk: Any, command: Any) -> None:
    async with desk({"driver": "virtual"}, {"driver": "virtual", "name": "gate"}):
        result = await command("rfid", "present", UID)
        assert result.exit_code == 5
        assert "Name one of them: desk, gate" in result.stderr
        assert (await command("rfid", "present", UID, "--reader", "gate")).exit_code == 0


async def test_a_block_is_read_and_written_through_the_node(desk: Any, command: Any, monkeypatch: Any) -> None:
    card = Card(SEVEN)
    patched(monkeypatch, Mfrc522Chip(card))
    async with desk({"driver": "mfrc522"}) as at:
        await at.is_("ready")
        assert "is not known here" in (await command("rfid", "write", "4", "HELLO", "--text")).stderr
        await at.node.ask("tags.add", id_tag=SEVEN)
        assert "HELLO" in (await command("rfid", "write", "4", "HELLO", "--text")).stdout
        assert bytes(card.blocks[4]) == b"HELLO".ljust(16)
        assert "48454C4C4F" in (await command("rfid", "read", "4")).stdout
        assert "key does not open" in (await command("rfid", "read", "8", "--key", "0" * 12)).stderr
        assert "sector trailer" in (await command("rfid", "write", "7", "00" * 16)).stderr
        assert "hexadecimal" in (await command("rfid", "write", "5", "hello")).stderr


async def test_two_cards_at_once_are_both_scans_and_neither_is_written(
    desk: Any, command: Any, monkeypatch: Any
) -> None:
    chip = Mfrc522Chip(Card(SEVEN), Card(UID))
    patched(monkeypatch, chip)
    async with desk({"driver": "mfrc522"}) as at:
        await at.next_scan(0)
        assert {each["uid"] for each in (await at.reader())["present"]} == {UID, SEVEN}
        assert "more than one card" in (await command("rfid", "read", "4")).stderr


async def test_no_card_and_no_reader_are_told_apart(desk: Any, command: Any, monkeypatch: Any) -> None:
    chip = Mfrc522Chip()
    patched(monkeypatch, chip)
    async with desk({"driver": "mfrc522"}) as at:
        await at.is_("ready")
        assert "no card came" in (await command("rfid", "read", "4", "--for", "1s")).stderr
        chip.absent = True
        await at.is_("unavailable")
        result = await command("rfid", "read", "4", "--for", "1s")
        assert (result.exit_code, "no MFRC522 answers" in result.stderr) == (6, True)


async def test_a_reader_that_only_tells_numbers_has_no_blocks_and_says_so_without_a_card(
    desk: Any, command: Any
) -> None:
    async with desk():
        result = await command("rfid", "read", "4", "--for", "60s")
        assert "a virtual reader only tells numbers" in result.stderr


async def test_who_waits_for_a_card_where_there_is_no_reader_is_told_so(tmp_path: Path, command: Any) -> None:
    async with node(tmp_path / "node", plugins=PLUGINS):
        for words in (["watch"], ["scan"]):
            result = await command("rfid", *words)
            assert (result.exit_code, "[[plugins.rfid.readers]]" in result.stderr) == (6, True)


async def test_a_mode_for_a_station_that_does_not_exist_is_refused(desk: Any, command: Any) -> None:
    async with desk() as at:
        result = await command("rfid", "mode", "desk", "start", "--station", "NOPE")
        assert (result.exit_code, "NOPE" in result.stderr) == (5, True)
        assert (await at.reader())["does"] == "inbox"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["present", ""], "a UID of 0 bytes"),
        (["present", "04A1\n04B2"], "is not pairs of hexadecimal digits"),
        (["mode", "desk", "who", "--for", "0s"], "'0s' is no time at all"),
    ],
)
async def test_what_cannot_be_meant_is_refused_in_words(desk: Any, command: Any, words: list[str], said: str) -> None:
    async with desk():
        result = await command("rfid", *words)
        assert result.exit_code != 0
        assert said in result.stderr


async def test_two_lines_are_not_one_card(desk: Any) -> None:
    async with desk() as at:
        await at.ask("POST", "/readers/desk/cards", {"uid": "04A1\n04B2"}, status=409)


def test_that_a_uid_changes_is_said_once() -> None:
    scan = {"reader": "desk", "change": "scanned", "uid": UID, "id_tag": UID, "status": "", "random": True}
    for said in ("", "its UID changes each time, so it cannot be let in"):
        assert _line({**scan, "said": said}).count("changes each time") == 1


async def test_who_waits_for_a_card_hears_when_the_node_stops(desk: Any) -> None:
    async with desk() as at:
        await at.is_("ready")
        (reader,) = desk_of(at.node.host).scanning.readers.values()
        waiting = asyncio.ensure_future(reader.with_card(lambda _, card: card, 60.0))
        await asyncio.sleep(0.2)
    with pytest.raises(Unavailable, match="closed"):
        await waiting


# ---------------------------------------------------------------------- alone


def test_alone_a_card_is_scanned(alone: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patched(monkeypatch, Mfrc522Chip(Card(SEVEN)))
    result = alone('driver = "mfrc522"', "rfid", "scan", "--json", "--for", "5s")
    assert json.loads(result.stdout)["uid"] == SEVEN
    assert f"scanned  {SEVEN}" in alone('driver = "mfrc522"', "rfid", "watch", "--for", "1s").stdout


def test_alone_a_card_is_let_in(alone: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = 'driver = "mfrc522"\naliases = ["reversed"]'
    patched(monkeypatch, Mfrc522Chip(Card(UID)))
    assert "Start it, or add --release" in alone(reader, "rfid", "enrol").stderr
    assert f"Tag {UID} is Accepted" in alone(reader, "rfid", "enrol", "--release", "--for", "5s").stdout
    assert json.loads(alone(reader, "tags", "list", "--json").stdout)[0]["aliases"] == ["C3B2A104"]
    assert "known already" in alone(reader, "rfid", "enrol", "--release", "--for", "5s").stdout


def test_alone_a_block_of_a_known_card_is_read(alone: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    patched(monkeypatch, Mfrc522Chip(Card(UID)))
    reader = 'driver = "mfrc522"'
    assert "is not known here" in alone(reader, "rfid", "read", "4").stderr
    alone(reader, "tags", "add", UID)
    assert "0" * 32 in alone(reader, "rfid", "read", "4").stdout


def test_without_readers_the_cure_is_a_section_of_the_settings(alone: Any) -> None:
    for words in (["scan"], ["watch"], ["read", "4"]):
        result = alone("", "rfid", *words)
        assert result.exit_code == 6
        assert "[[plugins.rfid.readers]]" in result.stderr


def test_a_wrong_setting_names_its_place(alone: Any) -> None:
    result = alone('driver = "virtual"\nbaud = 9600', "plugins", "info", "rfid")
    assert "baud is not for the driver virtual" in result.output


# ---------------------------------------------------------------------- lists


def test_cards_of_an_older_system_are_taken_over(alone: Any, tmp_path: Path) -> None:
    file = tmp_path / "rfids.csv"
    file.write_text(
        "\ufeffrfid;status;note;custom_label\n"
        "04A1B2C3D4;;=1+1;check byte\n"
        "8804E1412C;;;cut\n"
        f"{SEVEN};Blocked;;whole\n"
        "not a card;;;\n",
        encoding="utf-8",
    )
    refused = alone('driver = "virtual"', "rfid", "import", str(file))
    assert refused.exit_code == 5
    assert "line 3: only the first part of a longer UID" in refused.stderr
    assert "line 5: 'not a card' is not pairs" in refused.stderr
    assert "Nothing is stored" in refused.stdout
    assert "2 stored" in alone('driver = "virtual"', "rfid", "import", "--skip-wrong", str(file)).stdout
    found = json.loads(alone('driver = "virtual"', "tags", "list", "--json").stdout)
    assert [(tag["id_tag"], tag["status"], tag["aliases"]) for tag in found] == [
        (UID, "Accepted", ["04A1B2C3D4"]),
        (SEVEN, "Blocked", []),
    ]


@pytest.mark.parametrize(("text", "seconds"), [("30", 30.0), ("30s", 30.0), ("5m", 300.0), ("1.5h", 5400.0)])
def test_times_are_written_as_people_do(text: str, seconds: float) -> None:
    assert Seconds().convert(text, None, None) == seconds
