"""What docs/api.md says is so: the example of a route runs, and every path it names is one."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from aiohttp import ClientSession

from arthexis.testing import node, wire
from arthexis.web.api.table import ROUTES

TEXT = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")


async def test_the_example_of_a_plugins_route_runs(tmp_path: Path, install: Callable[[str, str], str]) -> None:
    source = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)[0]
    plugins = [install("prices", source), "arthexis-ocpp16:*"]
    async with node(tmp_path / "node", plugins=plugins) as host, ClientSession() as web:
        url = f"{host.url}/api/v1/acme/prices/cp-1?hours=2"
        async with web.get(url) as reply:
            assert reply.status == 404
        async with wire(host.station_url("CP-1")) as cp:
            await cp.boot()
            async with web.get(url) as reply:
                assert await reply.json() == [{"per_kwh": 0.31}] * 2


def test_every_list_and_thing_of_the_api_is_named() -> None:
    for route in ROUTES:
        first = route.path.strip("/").split("/")[0]
        assert f"`/{first}" in TEXT, route.path
