"""Id tags: other texts that stand for one, and lists of them that come from spreadsheets and go there."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from arthexis.charging import tag_lists
from arthexis.cli.main import main
from arthexis.errors import DomainError, Invalid, NotFound
from arthexis.testing import Node, node, wire

OCPP = "arthexis-ocpp16:*"
START = {"connectorId": 1, "meterStart": 0, "timestamp": "2026-11-24T10:00:00Z"}

pytestmark = [pytest.mark.plugins(OCPP), pytest.mark.node(open_mode=False)]


@pytest.fixture
def arthexis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """``arthexis("tags", "list")`` on the files of a fresh data folder: its result."""
    monkeypatch.setenv("ARTHEXIS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ARTHEXIS_CONFIG", raising=False)
    return lambda *words: CliRunner().invoke(main, [*words])


async def at_a_station(running: Node, action: str, **payload: Any) -> str:
    added = await running.ask("stations.add", station=f"CP-{action}")
    async with wire(running.station_url(f"CP-{action}"), key=bytes.fromhex(added["key_hex"])) as cp:
        await cp.boot()
        return str((await cp.result(action, payload))["idTagInfo"]["status"])


@pytest.mark.parametrize(("action", "payload"), [("Authorize", {}), ("StartTransaction", START)])
async def test_an_alias_authorises_as_its_tag_does(host: Node, action: str, payload: dict[str, Any]) -> None:
    await host.ask("tags.add", id_tag="04A1B2C3")
    await host.ask("tags.alias", id_tag="04a1b2c3", alias="C3B2A104")
    assert await at_a_station(host, action, idTag="c3b2a104", **payload) == "Accepted"


async def test_an_alias_of_a_blocked_tag_is_blocked_and_enters_no_inbox(host: Node) -> None:
    await host.ask("tags.add", id_tag="04A1B2C3", status="Blocked")
    await host.ask("tags.alias", id_tag="04A1B2C3", alias="0077705923")
    assert await at_a_station(host, "Authorize", idTag="0077705923") == "Blocked"
    assert await host.ask("tags.unknown") == []


async def test_neither_an_alias_nor_a_tag_can_hide_another_tag_s_block(host: Node) -> None:
    for name in ("ONE", "TWO"):
        await host.ask("tags.add", id_tag=name, status="Blocked")
    await host.ask("tags.alias", id_tag="ONE", alias="UNO")
    for request in (
        host.ask("tags.alias", id_tag="TWO", alias="UNO"),
        host.ask("tags.alias", id_tag="TWO", alias="ONE"),
        host.ask("tags.alias", id_tag="TWO", alias="two"),
        host.ask("tags.add", id_tag="uno"),
    ):
        with pytest.raises(DomainError, match="is known as tag"):
            await request


async def test_the_aliases_of_a_forgotten_tag_are_forgotten(host: Node) -> None:
    await host.ask("tags.add", id_tag="ONE")
    await host.ask("tags.alias", id_tag="ONE", alias="UNO")
    assert (await host.ask("tags.list"))[0]["aliases"] == ["UNO"]
    await host.ask("tags.remove", id_tag="ONE")
    assert await at_a_station(host, "Authorize", idTag="UNO") == "Invalid"
    with pytest.raises(NotFound):
        await host.ask("tags.unalias", alias="UNO")


def test_the_commands_give_an_alias_and_take_it_away(arthexis: Any) -> None:
    arthexis("tags", "add", "ONE")
    assert arthexis("tags", "alias", "ONE", "UNO").stdout.startswith("UNO stands for tag ONE.")
    assert json.loads(arthexis("tags", "list", "--json").stdout)[0]["aliases"] == ["UNO"]
    assert arthexis("tags", "unalias", "UNO").exit_code == 0
    assert arthexis("tags", "unalias", "UNO").exit_code == 5


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (";Accepted;;;", "cannot be an id tag"),
        ("A3;Lost;;;", "no status 'Lost'"),
        ("A3;;soon;;", "'soon' is no time"),
        ("A1;;;;", "stands in line 2 too"),
        ("A3;;;;B1", "stands in line 2 too"),
        (f"{'A' * 21};;;;", "cannot be an id tag"),
        ("A3;;;;" + "B" * 21, "cannot be an id tag"),
        ("A3\x07;;;;", "cannot be an id tag"),
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_stored(arthexis: Any, tmp_path: Path, line: str, problem: str) -> None:
    file = tmp_path / "tags.csv"
    file.write_text(f"id_tag;status;expires_at;note;aliases\nA1;;;;B1\n{line}\nA9;;;;\n", encoding="utf-8")
    result = arthexis("tags", "import", str(file))
    assert result.exit_code == 5
    assert f"line 3: {result.stderr.partition('line 3: ')[2]}" in result.stderr
    assert problem in result.stderr.partition("line 3: ")[2]
    assert json.loads(arthexis("tags", "list", "--json").stdout) == []
    assert "2 stored" in arthexis("tags", "import", "--skip-wrong", str(file)).stdout


def test_a_dry_run_says_what_would_be_done_and_does_nothing(arthexis: Any, tmp_path: Path) -> None:
    file = tmp_path / "tags.csv"
    file.write_text("id_tag\nA1\nA2\n", encoding="utf-8")
    assert "2 new" in arthexis("tags", "import", "--dry-run", str(file)).stdout
    assert json.loads(arthexis("tags", "list", "--json").stdout) == []


def test_what_is_exported_is_no_formula_and_comes_back_as_it_was(arthexis: Any, tmp_path: Path) -> None:
    note = "=HYPERLINK(1), 'Zoë'"
    arthexis("tags", "add", "+491234", "--note", note, "--expires-at", "2027-01-31T12:00:00Z", "--parent", "@ALL")
    arthexis("tags", "add", "'-1", "--status", "Blocked")
    before = json.loads(arthexis("tags", "list", "--json").stdout)
    file = tmp_path / "tags.csv"
    assert arthexis("tags", "export", str(file)).exit_code == 0
    cells = [cell for row in tag_lists.cells(tag_lists.text_of(file.read_bytes())) for cell in row[1].values()]
    assert "+491234" in cells
    assert not [line for line in file.read_text("utf-8-sig").splitlines() if line.startswith(tag_lists.FORMULA)]
    for row in before:
        arthexis("tags", "remove", row["id_tag"])
    assert arthexis("tags", "import", str(file)).exit_code == 0
    after = json.loads(arthexis("tags", "list", "--json").stdout)
    assert [{**row, "added_at": None} for row in after] == [{**row, "added_at": None} for row in before]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_marks_of_spreadsheets_do_not_matter(encoding: str) -> None:
    rows = tag_lists.read("ID_Tag,Note\r\nA1,Zoë\r\n\r\nA2,\r\n".encode(encoding))
    assert [(row.line, row.id_tag, row.note) for row in rows] == [(2, "A1", "Zoë"), (4, "A2", "")]


@pytest.mark.parametrize("content", [b"name\nA1\n", b"id_tag\n\xff\xff\n", b'id_tag\n"A1\n', b""])
def test_what_is_no_list_is_refused_with_a_cure(content: bytes) -> None:
    with pytest.raises(Invalid) as refused:
        tag_lists.read(content)
    assert refused.value.cure


async def test_a_long_list_reaches_a_running_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "tags.csv"
    file.write_text("id_tag,note\n" + "".join(f"T{n},{'x' * 900}\n" for n in range(1_200)), encoding="utf-8")
    monkeypatch.setenv("ARTHEXIS_HOME", str(tmp_path))
    async with node(tmp_path, plugins=[OCPP]) as running:
        result = await asyncio.to_thread(CliRunner().invoke, main, ["tags", "import", str(file)])
        assert result.stdout.startswith("1200 stored"), result.output
        assert len(await running.ask("tags.list")) == 1_200
