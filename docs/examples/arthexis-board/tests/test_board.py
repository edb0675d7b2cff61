"""A display over a real socket; without one the plugin waits and says so."""

import asyncio
import socket

from arthexis.testing import node, wire

OURS = ("arthexis-ocpp16:*", "arthexis-board:board")


async def test_the_display_is_told(tmp_path):
    lines = asyncio.Queue()

    async def shown(reader, writer):
        async for line in reader:
            lines.put_nowait(line.decode().strip())
        writer.close()

    async with await asyncio.start_server(shown, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with node(tmp_path, plugins=OURS, config={"plugins": {"board": {"port": port}}}) as host:
            async with wire(host.station_url("CP-1")) as station:
                await station.boot()
                status = {"connectorId": 1, "status": "Charging", "errorCode": "NoError"}
                await station.result("StatusNotification", status)
                assert await asyncio.wait_for(lines.get(), 5) == "CP-1 1 Charging"


async def test_without_a_display_the_plugin_waits_and_stations_are_served(tmp_path):
    with socket.socket() as taken:  # bound and not listening: nobody answers here
        taken.bind(("127.0.0.1", 0))
        config = {"plugins": {"board": {"port": taken.getsockname()[1]}}}
        async with node(tmp_path, plugins=OURS, config=config) as host:
            plugin = host.plugin("board")
            assert plugin.state == "unavailable"
            assert "no display at 127.0.0.1" in plugin.reason
            async with wire(host.station_url("CP-1")) as station:
                assert (await station.boot())["status"] == "Accepted"
