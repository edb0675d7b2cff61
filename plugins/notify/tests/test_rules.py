"""Rules: what people are told, when, how often at most, and what is wrong with a rule that tells nothing."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from arthexis_notify import rules, tables, texts
from arthexis_notify.desk import desk_of
from arthexis_notify.rules import FIELDS, Bounds, Rule
from arthexis_notify.watching import Watch
from hypothesis import given, settings
from hypothesis import strategies as st

from arthexis import ConfigError, Unavailable
from arthexis.host import LIVE
from arthexis.plugins.states import State
from arthexis.testing import FrozenClock, Node, node, wire
from tests.notifications import PLUGINS, api, caught_up, configured, happen, reports, rule, states, told, until

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.plugins(*PLUGINS)


def with_rules(*several: dict[str, Any], **more: Any) -> pytest.MarkDecorator:
    return pytest.mark.node(config=configured(*several, **more))


async def said(host: Node) -> list[str]:
    return [row["text"] for row in await told(host)]


# ---------------------------------------------------------------------- the house's rules, with real stations


async def test_a_fault_is_told_and_its_end_too(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        await reports(cp, "Faulted", "GroundFailure")
        [alarm] = await until(lambda: told(host))
        assert (alarm["rule"], alarm["priority"], alarm["station"], alarm["connector"]) == (
            "faulted",
            "alarm",
            "CP-1",
            1,
        )
        assert alarm["text"] == "CP-1, connector 1: GroundFailure"
        await reports(cp, "Faulted", "OverVoltage", connector=2)
        await reports(cp, "Available")
        texts_ = [row["text"] for row in await until(lambda: _at_least(host, 3))]
    assert texts_[1:] == ["CP-1, connector 2: OverVoltage", "CP-1, connector 1 is Available again"]
    await until(lambda: _all_sent(host, 3))


async def _at_least(host: Node, many: int) -> list[dict[str, Any]]:
    rows = await told(host)
    return rows if len(rows) >= many else []


async def _all_sent(host: Node, many: int) -> bool:
    return await states(host, "log") == ["sent"] * many


async def test_a_station_that_stays_away_is_told_of_after_ten_minutes_and_when_it_is_back(
    host: Node, clock: FrozenClock
) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        await until(lambda: host.events("station.connected"))
    await until(lambda: host.events("station.disconnected"))
    await caught_up(host)
    clock.advance(599)
    await asyncio.sleep(0.3)
    assert await told(host) == []
    clock.advance(2)
    [alarm] = await until(lambda: told(host))
    assert (alarm["rule"], alarm["text"]) == ("offline", "CP-1 has been offline since 2026-11-24 12:00:00 UTC")
    async with wire(host.station_url("CP-1")) as cp:
        await until(lambda: _at_least(host, 2))
    assert (await said(host))[1] == "CP-1 is online again"


async def test_a_station_that_is_soon_back_is_nobody_s_concern(host: Node, clock: FrozenClock) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        await until(lambda: host.events("station.connected"))
    await until(lambda: host.events("station.disconnected"))
    clock.advance(300)
    async with wire(host.station_url("CP-1")):
        await until(lambda: _two_connections(host))
        await caught_up(host)
        clock.advance(3600)
        await asyncio.sleep(0.4)
        assert await told(host) == []


async def _two_connections(host: Node) -> bool:
    return len(await host.events("station.connected")) == 2


async def test_a_station_that_did_not_come_back_after_a_restart_is_told_of(tmp_path: Path) -> None:
    clock = FrozenClock()
    async with node(tmp_path, plugins=PLUGINS, clock=clock) as host:
        async with wire(host.station_url("CP-1")) as cp:
            await cp.boot()
            await until(lambda: host.events("station.connected"))
            await host.settle()
            host.host.gate.shut()  # the node ends while the station is there
    async with node(tmp_path, plugins=PLUGINS, clock=clock) as host:
        await until(lambda: host.events("station.disconnected"))
        await caught_up(host)
        clock.advance(601)
        [alarm] = await until(lambda: told(host))
        assert alarm["rule"] == "offline"


async def test_a_plugin_that_fails_is_told_of(site: Any, tmp_path: Path) -> None:
    bad = site.add("import nothing_of_that_name\n", "bad")
    clock = FrozenClock()
    async with node(tmp_path, plugins=[*PLUGINS, bad], clock=clock) as host:
        await until(lambda: host.events("plugin.changed"))
        await caught_up(host)
        clock.advance(31)
        [alarm] = await until(lambda: told(host))
        assert alarm["text"].startswith("Plugin bad is failed: its import failed: ModuleNotFoundError")
        host.excuse("bad")


LACKING = """
from contextlib import asynccontextmanager
from arthexis import Config, Unavailable, hookimpl
from msgspec import Struct

class Settings(Struct, frozen=True):
    port: int = 1

@hookimpl
def register_config():
    yield Config(Settings)

@hookimpl
@asynccontextmanager
async def lifespan(ctx):
    raise Unavailable("there is no such hardware", cure="Plug it in")
    yield
"""


@pytest.mark.parametrize(
    ("section", "rule_name", "priority"),
    [({}, "plugin-absent", "event"), ({"gear": {"port": 2}}, "plugin-unavailable", "alarm")],
)
async def test_hardware_that_is_not_there_is_an_alarm_only_where_somebody_configured_it(
    site: Any, tmp_path: Path, section: dict[str, Any], rule_name: str, priority: str
) -> None:
    gear, clock = site.add(LACKING, "gear"), FrozenClock()
    async with node(tmp_path, plugins=[*PLUGINS, gear], config={"plugins": section}, clock=clock) as host:
        await until(lambda: host.events("plugin.changed"))
        await caught_up(host)
        clock.advance(31)
        [row] = await until(lambda: told(host))
        assert (row["rule"], row["priority"]) == (rule_name, priority)
        assert row["text"] == "Plugin gear is unavailable: there is no such hardware. Plug it in"


@pytest.mark.node(config={"plugins": {"notify": {"disk_free_mb": 10**9}}})
async def test_a_disk_that_is_nearly_full_is_told_of_once_and_when_there_is_room_again(
    host: Node, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    [alarm] = await until(lambda: told(host))
    assert (alarm["rule"], alarm["priority"]) == ("disk-low", "alarm")
    assert re.fullmatch(r"\d+ MB of the disk are free \(\d+\.\d %\)", alarm["text"])
    clock.advance(31)
    await asyncio.sleep(0.7)
    assert len(await told(host)) == 1
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(total=4 << 50, free=2 << 50))
    clock.advance(31)
    assert (await until(lambda: _at_least(host, 2)))[1]["text"] == "2147483648 MB of the disk are free again"


async def test_a_job_that_failed_for_good_is_told_of(site: Any, tmp_path: Path) -> None:
    bad = site.add(FAILS, "bad")
    async with node(tmp_path, plugins=[*PLUGINS, bad]) as host:
        await host.host.journal.write(lambda db: host.host.jobs.put(db, "bad.tidy"))
        [row] = await until(lambda: told(host))
        assert row["text"].startswith("Job bad.tidy failed for good: OSError: the cellar is full")
        assert len(host.faults()) == 1


FAILS = """
from arthexis import Job, hookimpl

async def tidy(ctx, args):
    raise OSError("the cellar is full")

@hookimpl
def register_jobs():
    yield Job("bad.tidy", tidy, retries=0)
"""


# ---------------------------------------------------------------------- the operator's rules


@with_rules(
    rule(name="big", when={"n": {"above": 10}}, text="big {n}"),
    rule(name="some", when={"n": [1, 2]}, stations=["cp-*"], text="some {n}"),
    rule(name="flag", when={"n": True}, text="flag {n}"),
    rule(name="not", on=["test.*"], when={"n": {"not": [1, 2, 11, True]}}, text="other {n}"),
)
async def test_a_rule_is_about_what_its_conditions_say(host: Node) -> None:
    await happen(host, "test.happened", {"n": 11}, {"n": 1}, {"n": True}, {"n": 10}, {"n": None})
    await happen(host, "test.happened", {"n": 2}, station="XY-1")
    await until(lambda: _at_least(host, 5))
    assert sorted(await said(host)) == ["big 11", "flag True", "other -", "other 10", "some 1"]


@with_rules(rule(quiet_s=60))
async def test_repeats_are_only_counted_and_the_next_one_says_how_many(host: Node, clock: FrozenClock) -> None:
    await happen(host, "test.happened", {"n": 1}, {"n": 2}, {"n": 3})
    await happen(host, "test.happened", {"n": 4}, station="CP-2")
    await until(lambda: _at_least(host, 2))
    assert [(row["text"], row["repeats"]) for row in await told(host)] == [("1", 2), ("4", 0)]
    clock.advance(61)
    await happen(host, "test.happened", {"n": 5})
    await until(lambda: _at_least(host, 3))
    assert (await said(host))[2] == "5 (2 more like it before)"


@with_rules(rule(most=3, per_s=60))
async def test_a_rule_speaks_no_more_often_than_it_may_and_says_what_it_kept_back(
    host: Node, clock: FrozenClock
) -> None:
    await happen(host, "test.happened", *({"n": n} for n in range(10)))
    await until(lambda: _suppressed(host, 7))
    assert await said(host) == ["0", "1", "2"]
    clock.advance(21)  # a third of the time brings one of three tokens
    await happen(host, "test.happened", {"n": 10}, {"n": 11})
    await until(lambda: _suppressed(host, 1))
    assert (await said(host))[3:] == ["10 (7 others were not sent)"]


async def _suppressed(host: Node, many: int) -> bool:
    return (await api(host, "GET", "/rules"))[1]["suppressed"].get("test") == many


async def test_the_rate_of_a_rule_goes_on_after_a_restart(tmp_path: Path) -> None:
    clock, config = FrozenClock(), configured(rule(most=2, per_s=60))
    for first in (0, 3):
        async with node(tmp_path, plugins=PLUGINS, clock=clock, config=config) as host:
            await happen(host, "test.happened", *({"n": first + n} for n in range(3)))
            await until(lambda host=host, many=first + 1: _suppressed(host, many))
            assert await said(host) == ["0", "1"]


@with_rules(rule(on=["test.began"], until=["test.ended"], about="{n}", wait_s=5, over="{n} ended"))
async def test_only_what_lasts_is_told_and_each_matter_for_itself(host: Node, clock: FrozenClock) -> None:
    await happen(host, "test.began", {"n": 1}, {"n": 2})
    await happen(host, "test.ended", {"n": 1})
    await caught_up(host)
    clock.advance(6)
    await until(lambda: told(host))
    await happen(host, "test.ended", {"n": 1}, {"n": 2})
    await until(lambda: _at_least(host, 2))
    await asyncio.sleep(0.1)
    assert await said(host) == ["2", "2 ended"]


async def test_what_waits_to_be_told_is_told_after_a_restart(tmp_path: Path) -> None:
    clock, config = FrozenClock(), configured(rule(wait_s=5))
    async with node(tmp_path, plugins=PLUGINS, clock=clock, config=config) as host:
        await happen(host, "test.happened", {"n": 1})
        await caught_up(host)
    clock.advance(3600)
    async with node(tmp_path, plugins=PLUGINS, clock=clock, config=config) as host:
        assert [row["text"] for row in await until(lambda: told(host))] == ["1"]


def failing_once(read: Any, looks: list[Any]) -> Any:
    """A database's ``read`` of which the first of each of these looks fails."""

    async def attempt(look: Any) -> Any:
        if look in looks:
            looks.remove(look)
            raise Unavailable("the disk does not answer")
        return await read(look)

    return attempt


@with_rules(rule(wait_s=60))
async def test_a_read_that_fails_once_ends_nothing(
    host: Node, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = [tables.next_due, tables.online]
    monkeypatch.setattr(host.host.database, "read", failing_once(host.host.database.read, looks))
    await happen(host, "test.happened", {"n": 1})
    watch = asyncio.create_task(Watch(desk_of(host.host).ctx).run())
    await until(lambda: not looks)
    await caught_up(host)
    clock.advance(61)
    assert len(await until(lambda: told(host))) == 1
    assert not watch.done()
    watch.cancel()


@with_rules(rule(wait_s=60))
async def test_a_clock_that_was_set_back_by_more_than_any_wait_tells_at_once_and_does_not_spin(
    host: Node, clock: FrozenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    await happen(host, "test.happened", {"n": 1})
    await caught_up(host)
    await asyncio.sleep(0.3)  # until it waits
    reads: list[Any] = []
    read = host.host.database.read

    async def counted(look: Any) -> Any:
        if look is tables.next_due:
            reads.append(look)
            assert len(reads) < 100, "it reads again and again"
        return await read(look)

    monkeypatch.setattr(host.host.database, "read", counted)
    clock.set(clock.now() - timedelta(days=8))
    assert len(await until(lambda: told(host))) == 1


@pytest.mark.node(config=configured())
async def test_without_any_rule_nobody_is_told_anything(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        await reports(cp, "Faulted")
        await asyncio.sleep(0.3)
    assert (await told(host), (await api(host, "GET", "/rules"))[1]["written"]) == ([], True)


# ---------------------------------------------------------------------- texts

HOSTILE = "Robo\r\nBcc: evil@example.org\x1b[2J\x00\u202eSPOT\ud800" + "x" * 5000


@with_rules(rule(text="model {n}: {station}"))
async def test_what_stations_write_is_one_short_line_without_anything_that_acts(host: Node) -> None:
    await happen(host, "test.happened", {"n": HOSTILE.replace("\ud800", "")})
    [row] = await until(lambda: told(host))
    assert row["text"].isprintable()
    assert row["text"].startswith("model Robo Bcc: evil@example.org [2J SPOTxxx")
    assert len(row["text"]) < 250
    assert row["text"].endswith("…: CP-1")


@settings(max_examples=200, deadline=None, database=None)
@given(value=st.text(max_size=300) | st.integers() | st.none() | st.lists(st.text()), most=st.integers(2, 50))
def test_whatever_is_filled_in_is_one_printable_line_of_bounded_length(value: Any, most: int) -> None:
    found = texts.filled("{a}|{a}", {"a": value}, most)
    assert found.isprintable()
    assert 0 < len(found) <= most
    assert texts.clean(found, most) == found
    found.encode()


def test_a_field_cannot_bring_fields_of_its_own() -> None:
    assert texts.filled("{a} and {b}", {"a": "{b}", "b": "{a.__class__}"}) == "{b} and {a.__class__}"
    assert texts.filled("{{a}} {a} {gone}", {"a": [1, "x"]}) == "{a} 1, x -"


@pytest.mark.parametrize("template", ["{station.__class__}", "{0}", "{}", "{station!r}", "{station:>99999}", "{a[b]}"])
def test_a_text_has_plain_names_and_nothing_else(template: str) -> None:
    with pytest.raises(ConfigError, match=r"rule test: text: .* is no plain name"):
        Rule(name="test", on=["status.changed"], text=template)


@pytest.mark.parametrize("template", ["{station", "station}"])
def test_a_text_with_half_a_brace_is_refused(template: str) -> None:
    with pytest.raises(ConfigError, match=r"rule test: text: "):
        Rule(name="test", on=["status.changed"], text=template)


def test_a_field_that_an_event_has_not_is_refused_with_those_it_has() -> None:
    with pytest.raises(ConfigError) as refused:
        Rule(name="test", on=["status.changed"], text="{station} {state}")
    assert str(refused.value) == (
        "plugins.notify.rules, rule test: text: status.changed has no field state. Did you mean status? "
        "It has at, connector, error_code, kind, station, status"
    )
    with pytest.raises(ConfigError, match=r"when: status\.changed has no field connecter"):
        Rule(name="test", on=["status.changed"], text="x", when={"connecter": 1})
    Rule(name="test", on=["acme.happened"], text="{anything}", when={"whatever": Bounds(above=1)})


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ([rule(), rule()], r"config plugins\.notify\.rules: two rules are called test"),
        ([rule(text="{station.id}")], r"rule test: text: \{station\.id\} is no plain name"),
        ([rule(priority="urgent")], r"invalid enum value 'urgent'.*rules\[0\]|rules\[0\]\.priority"),
        ([rule(prioriti="alarm")], r"rules\[0\].*unknown field `prioriti`|unknown field `prioriti`"),
        ([rule(over="done")], r"rule test: nothing ends it"),
        ([rule(lifetime_s=-1)], r"rules\[0\]\.lifetime_s"),
        ([rule(on=[])], r"rules\[0\]\.on"),
    ],
)
async def test_a_wrong_rule_is_refused_at_the_start_and_says_which(
    tmp_path: Path, wrong: list[dict[str, Any]], problem: str
) -> None:
    async with node(tmp_path, plugins=PLUGINS, config=configured(*wrong)) as host:
        failed = host.plugin("notify")
        assert (failed.state, failed.stage) == (State.FAILED, State.CONFIGURED)
        assert re.search(problem, failed.reason), failed.reason
        assert failed.cure
        host.excuse("notify")


@with_rules(rule(to=["lgo"]), rule(name="second", to=["mail"]))
async def test_a_rule_that_names_no_notifier_is_said(host: Node) -> None:
    problems = (await api(host, "GET", "/rules"))[1]["problems"]
    assert problems == [
        "rule test: there is no notifier lgo. Did you mean log?",
        "rule second: there is no notifier mail. Set it up: write [plugins.notify.mail] in arthexis.toml",
    ]


# ---------------------------------------------------------------------- what is known of events


def test_every_kind_of_event_of_the_host_has_its_fields_here_as_they_are_documented() -> None:
    sources = "\n".join(file.read_text("utf-8") for file in ROOT.glob("arthexis/**/*.py"))
    kinds = {*re.findall(r'\.event\(\s*"([\w.]+)"', sources), *LIVE} - {"message"}
    assert kinds - set(FIELDS) == set()
    rows = re.findall(
        r"^\| (`[\w.`, ]+) \| .*? \| (.*) \|$", (ROOT / "docs" / "plugins.md").read_text("utf-8"), re.MULTILINE
    )
    documented = {kind: about for named, about in rows for kind in re.findall(r"`([\w.]+)`", named)}
    missing = [(kind, name) for kind in FIELDS for name in FIELDS[kind] if f"`{name}`" not in documented[kind]]
    assert missing == []


async def test_the_fields_of_events_are_those_that_come(host: Node) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        await reports(cp, "Charging")
        start = {"connectorId": 1, "idTag": "TAG", "meterStart": 100, "timestamp": "2026-11-24T10:00:00Z"}
        number = (await cp.result("StartTransaction", start))["transactionId"]
        sample = {"timestamp": "2026-11-24T10:01:00Z", "sampledValue": [{"value": "150"}]}
        await cp.result("MeterValues", {"connectorId": 1, "transactionId": number, "meterValue": [sample]})
        stop = {"transactionId": number, "meterStop": 350, "timestamp": "2026-11-24T11:00:00Z"}
        await cp.result("StopTransaction", stop)
        await cp.result("FirmwareStatusNotification", {"status": "Installed"})
        await host.ask("tags.add", id_tag="NEW")
        await until(lambda: host.events("station.connected"))
    await until(lambda: host.events("station.disconnected"))
    found = {event.kind: set(event.data) for event in await host.events()}
    assert len(found) >= 9
    assert {kind: fields for kind, fields in found.items() if fields != set(FIELDS[kind])} == {}


def test_the_house_s_rules_are_sound() -> None:
    assert len({each.name for each in rules.HOUSE_RULES}) == len(rules.HOUSE_RULES)
    assert all(kind in FIELDS for each in rules.HOUSE_RULES for kind in [*each.on, *each.until])
