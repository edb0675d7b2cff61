"""Random sets of all plugins that are installed and of the zoo: the node starts, serves a boot, and says what failed.

    python -m tests.campaigns.plugin_sets [--examples 200] [--seed N]

Each set runs on a real node with a real socket. What is expected of an animal is the table of ``tests/test_zoo.py``; of
a plugin that is no animal, that it works or waits for its hardware. One process runs them all and ends itself,
because some animals leave threads behind.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomlkit
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

from arthexis import server, system
from arthexis.assembly import Options, assemble
from arthexis.host import Host
from arthexis.plugins.discover import discover
from arthexis.plugins.states import RUNNING, Plugin, State
from arthexis.testing import wire
from tests.conftest import ZOO, Site
from tests.test_zoo import TABLE

PATIENCE_S = 0.2
SOON_S = 20.0
MOST_PLUGINS = 14
BOOT, PROTOCOL = "arthexis-ocpp16:ocpp16.boot_notification", "arthexis-ocpp16:ocpp16.protocol"
CORE = frozenset({PROTOCOL, BOOT})
RIVALS = (
    frozenset({"zoo-thief:zoo.thief", "arthexis-ocpp16:ocpp16.heartbeat"}),
    frozenset({"zoo-hangs-in-action:zoo.hangs_in_action", "arthexis-ocpp16:ocpp16.firmware_status_notification"}),
    frozenset(
        {"zoo-cancels-in-action:zoo.cancels_in_action", "arthexis-ocpp16:ocpp16.diagnostics_status_notification"}
    ),
)
"""Plugins that offer the same, so that both fail where both are chosen."""
TWINS = frozenset({"zoo-twin-a:zoo.twin", "zoo-twin-b:zoo.twin"})
FACES = frozenset({"zoo-two-faces:zoo.face", "zoo-two-faces:zoo.other_face"})
WRONG = {"zoo.wrong_settings": {"interval_s": "soon"}, "zoo.broken_settings": {"thread": 1}}


@dataclass
class Campaign:
    """What was tried: how many sets, how many plugins in them, and the slowest start in seconds."""

    site: Site
    home: Path
    every: list[str] = field(default_factory=list)
    sets: int = 0
    plugins: int = 0
    slowest_s: float = 0.0

    def play(self, chosen: frozenset[str]) -> None:
        """One set, on a loop of its own, as a node has it; raises ``AssertionError``."""
        self.sets += 1
        self.plugins += len(chosen)
        for name in [name for name in sys.modules if name.partition(".")[0] in self.site.modules]:
            del sys.modules[name]
        home = self.home / str(self.sets)
        try:
            system.run(self._play(chosen, home), bool)
        finally:
            shutil.rmtree(home, ignore_errors=True)

    async def _play(self, chosen: frozenset[str], home: Path) -> None:
        names = {full.partition(":")[2] for full in chosen}
        wrong = {name.partition(".")[2]: values for name, values in WRONG.items() if name in names}
        config = {
            "node": {"role": "bare", "enable": sorted(chosen), "plugin_timeout_s": PATIENCE_S},
            "plugins": {"zoo": wrong},
        }
        home.mkdir(parents=True)
        (home / "arthexis.toml").write_text(tomlkit.dumps(config), "utf-8")
        began = time.monotonic()
        host = assemble(Options(config=home / "arthexis.toml", home=home, port=0, open=True))
        async with asyncio.timeout(SOON_S), server.running(host, bool):
            self.slowest_s = max(self.slowest_s, time.monotonic() - began)
            async with wire(host.station_urls("CP-1")[0]) as cp:
                answer = await cp.call("BootNotification", {"chargePointVendor": "Zoo", "chargePointModel": "One"})
            judge(host, chosen, answer)


def judge(host: Host, chosen: frozenset[str], answer: list[Any]) -> None:
    """Raise ``AssertionError`` unless a boot was answered as it must be, and each plugin stands where it must."""
    wanted = "Accepted" if chosen >= CORE else "NotSupported" if PROTOCOL in chosen else "NotImplemented"
    told = answer[2]["status"] if answer[0] == 3 else answer[2]
    assert told == wanted, (sorted(chosen), answer)
    for plugin in host.composition.plugins:
        expect(plugin, chosen)
    blamed = [(plugin.name, error) for plugin, error in host.contain.faults if not plugin.name.startswith("zoo.")]
    assert not blamed, (sorted(chosen), blamed)


def expect(plugin: Plugin, chosen: Collection[str]) -> None:
    """Raise ``AssertionError`` unless a plugin stands where it must among these."""
    if plugin.full_name not in chosen:
        assert plugin.state is State.FOUND, plugin
        return
    if any(plugin.full_name in rivals and rivals <= set(chosen) for rivals in RIVALS):
        _is(plugin, State.FAILED, "registered", "both offer the same", "Choose one: ")
    elif plugin.full_name in TWINS:
        if set(chosen) >= TWINS:
            _is(plugin, State.FAILED, "imported", "have the same name", "Choose one: ")
        else:
            assert plugin.state in RUNNING, plugin
    elif plugin.name not in TABLE or plugin.name == "ocpp16.heartbeat":
        assert plugin.state in RUNNING or plugin.state is State.UNAVAILABLE, plugin
    elif plugin.name == "zoo.thief" or (plugin.full_name in FACES and not set(chosen) >= FACES):
        assert plugin.state in RUNNING, plugin
    else:
        state, stage, reason, cure = TABLE[plugin.name]
        if state in {"failed", "unavailable"}:
            _is(plugin, State(state), stage, reason.replace("within 1 s", f"within {PATIENCE_S:g} s"), cure)
        else:
            assert plugin.state in RUNNING, plugin


def _is(plugin: Plugin, state: State, stage: str | None, reason: str, cure: str) -> None:
    told = (plugin.state, plugin.stage and plugin.stage.value)
    assert told == (state, stage), plugin
    assert reason in plugin.reason, plugin
    assert plugin.cure.startswith(cure), plugin


def choices(every: list[str]) -> st.SearchStrategy[frozenset[str]]:
    """Sets of plugins: most of them can boot a station, some hold anything."""
    any_of = st.sampled_from(every)
    some = st.integers(0, MOST_PLUGINS).flatmap(lambda many: st.frozensets(any_of, min_size=many, max_size=many))
    return st.one_of(some.map(lambda chosen: chosen | CORE), some)


def campaign(folder: Path, examples: int, seed: int | None = None) -> Campaign:
    """Try so many sets; raises ``AssertionError`` with the smallest set that is not as it must be."""
    found = Campaign(Site(folder / "site-packages"), folder / "homes")
    sys.path.insert(0, str(found.site.path))
    for animal in sorted(path.name for path in ZOO.iterdir() if path.is_dir()):
        found.site.animal(animal)
    found.every = [plugin.full_name for plugin in discover()]
    phases = (Phase.generate,)
    checks = list(HealthCheck)

    @seeded(seed if seed is not None else time.time_ns())
    @settings(max_examples=examples, deadline=None, database=None, phases=phases, suppress_health_check=checks)
    @given(choices(found.every))
    def tried(chosen: frozenset[str]) -> None:
        found.play(chosen)

    tried()
    return found


def _told(found: Campaign) -> dict[str, Any]:
    return {"sets": found.sets, "plugins": found.plugins, "of": len(found.every), "slowest_start_s": found.slowest_s}


def main() -> None:
    """The command; ends the process itself, whatever the animals left running."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=200, help="how many sets are tried")
    parser.add_argument("--seed", type=int, help="try the sets of an earlier run")
    chosen = parser.parse_args()
    status = 1
    try:
        with tempfile.TemporaryDirectory(prefix="arthexis-sets-") as folder:
            print(json.dumps(_told(campaign(Path(folder), chosen.examples, chosen.seed))))
        status = 0
    except AssertionError as wrong:
        print(wrong)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
