"""Lists: filtered by station, tag and time, page by page, with cursors that survive what is added meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from arthexis.testing import Node, Wire, wire

pytestmark = pytest.mark.plugins("arthexis-ocpp16:*")


async def charge(cp: Wire, tag: str, hour: int, *, stop: bool = True) -> int:
    start = {"connectorId": 1, "idTag": tag, "meterStart": 100, "timestamp": f"2026-11-24T{hour:02}:00:00Z"}
    number = (await cp.result("StartTransaction", start))["transactionId"]
    if stop:
        meter = [{"timestamp": f"2026-11-24T{hour:02}:10:00Z", "sampledValue": [{"value": "150", "unit": "Wh"}]}]
        await cp.result("MeterValues", {"connectorId": 1, "transactionId": number, "meterValue": meter})
        ended = {"transactionId": number, "meterStop": 350, "timestamp": f"2026-11-24T{hour:02}:30:00Z"}
        await cp.result("StopTransaction", {**ended, "reason": "Local"})
    return int(number)


async def ids(api: Any, path: str) -> list[int]:
    reply = await api("GET", path)
    assert reply.status == 200, reply.body
    return [each["id"] for each in reply.body["items"]]


async def test_a_transaction_is_told_with_units_and_its_meter_values(host: Node, api: Any) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        number = await charge(cp, "TAG1", 10)
    shown = (await api("GET", f"/transactions/{number}")).body
    expected = {
        "id": number,
        "station": "CP-1",
        "connector": 1,
        "id_tag": "TAG1",
        "active": False,
        "meter_start_wh": 100,
        "meter_stop_wh": 350,
        "energy_wh": 250,
        "started_at": "2026-11-24T10:00:00Z",
        "stopped_at": "2026-11-24T10:30:00Z",
        "stop_reason": "Local",
    }
    assert {name: shown[name] for name in expected} == expected
    (reading,) = shown["meter_values"]
    assert (reading["sampled_at"], reading["samples"]) == (
        "2026-11-24T10:10:00Z",
        [{"value": "150", "unit": "Wh"}],
    )


async def test_transactions_are_found_by_station_tag_state_and_time(host: Node, api: Any) -> None:
    async with wire(host.station_url("CP-1")) as one, wire(host.station_url("CP-2")) as two:
        await one.boot()
        await two.boot()
        first, second = await charge(one, "TAG1", 8), await charge(two, "TAG2", 9)
        third = await charge(one, "tag1", 11, stop=False)
    assert await ids(api, "/transactions") == [third, second, first]
    assert await ids(api, "/transactions?station=cp-1") == [third, first]
    assert await ids(api, "/transactions?id_tag=TAG1") == [third, first]
    assert await ids(api, "/transactions?active=true") == [third]
    assert await ids(api, "/transactions?active=false&station=CP-1&id_tag=TAG1") == [first]
    assert await ids(api, "/transactions?from=2026-11-24T09:00:00Z&to=2026-11-24T11:00:00Z") == [second]
    assert (await api("GET", "/transactions?station=CP-9")).status == 404
    values = (await api("GET", f"/meter-values?transaction={second}")).body["items"]
    assert [(value["station"], value["transaction"]) for value in values] == [("CP-2", second)]
    connectors = (await api("GET", "/connectors")).body
    assert connectors == {"items": [], "next": None}, "no StatusNotification came"


async def test_a_cursor_survives_what_is_added_meanwhile(host: Node, api: Any) -> None:
    async with wire(host.station_url("CP-1")) as cp:
        await cp.boot()
        old = [await charge(cp, f"T{number}", 1, stop=False) for number in range(7)]
        seen: list[int] = []
        cursor: str | None = ""
        while cursor is not None:
            query = f"&cursor={cursor}" if cursor else ""
            page = (await api("GET", f"/transactions?limit=3{query}")).body
            seen += [each["id"] for each in page["items"]]
            cursor = page["next"]
            await charge(cp, f"NEW{len(seen)}", 2, stop=False)
    assert seen == old[::-1]


async def test_the_last_full_page_has_no_next(api: Any) -> None:
    for number in range(4):
        assert (await api("POST", "/tags", json={"id_tag": f"T{number}"})).status == 201
    first = (await api("GET", "/tags?limit=2")).body
    second = (await api("GET", f"/tags?limit=2&cursor={first['next']}")).body
    assert [each["id_tag"] for each in first["items"] + second["items"]] == ["T0", "T1", "T2", "T3"]
    assert second["next"] is None


WRONG = [
    ("limit=0", "limit"),
    ("limit=1001", "limit"),
    ("limit=ten", "limit"),
    ("limit=1&limit=2", "limit"),
    ("cursor=zzz", "cursor"),
    ("active=yes", "active"),
    ("from=5", "from"),
    ("from=2026-11-24T09:00:00", "from"),
    ("stations=CP-1", "stations"),
]


async def test_a_query_member_that_cannot_be_is_named(api: Any) -> None:
    for query, member in WRONG:
        reply = await api("GET", f"/transactions?{query}")
        assert (reply.status, reply.body["code"], reply.body["member"]) == (400, "invalid", member), query


async def test_every_list_takes_a_thousand(api: Any) -> None:
    document = (await api("GET", "/api/openapi.json")).body
    lists = [
        path
        for path, methods in document["paths"].items()
        if any(each["name"] == "limit" for each in methods.get("get", {}).get("parameters", ()))
    ]
    assert len(lists) >= 8
    await api("POST", "/stations", json={"id": "CP-1"})
    for path in lists:
        reply = await api("GET", path.replace("{station}", "CP-1") + "?limit=1000")
        assert (reply.status, sorted(reply.body)) == (200, ["items", "next"]), path


async def test_a_tag_is_added_changed_and_forgotten(api: Any) -> None:
    added = await api("POST", "/tags", json={"id_tag": "TAG1", "status": "Accepted"})
    changed = await api("POST", "/tags", json={"id_tag": "tag1", "status": "Blocked", "note": "lost"})
    assert (added.status, changed.status) == (201, 200)
    shown = (await api("GET", "/tags/TAG1")).body
    assert (shown["status"], shown["note"]) == ("Blocked", "lost")
    gone = await api("DELETE", "/tags/TAG1")
    assert (gone.status, gone.body) == (204, "")
    assert (await api("GET", "/tags/TAG1")).status == (await api("DELETE", "/tags/TAG1")).status == 404


async def test_a_station_is_added_changed_and_rejected(host: Node, api: Any) -> None:
    made = await api("POST", "/stations", json={"id": "CP 1/2"})
    assert made.status == 409, "a slash cannot be in an identity"
    made = await api("POST", "/stations", json={"id": "CP 1"})
    assert (made.status, made.headers["Location"], len(made.body["key_hex"])) == (201, "/api/v1/stations/CP%201", 40)
    where = made.headers["Location"]
    changed = await api("PATCH", where, json={"mode": "strict", "zone": "Europe/Berlin"})
    assert (changed.body["mode"], changed.body["zone"], changed.body["has_key"]) == ("strict", "Europe/Berlin", True)
    rejected = await api("POST", f"{where}/reject")
    assert rejected.body["registration"] == "Rejected"
    renewed = await api("POST", f"{where}/key", json={})
    assert renewed.body["key_hex"] not in {None, made.body["key_hex"]}
    assert (await api("GET", "/stations")).body["items"][0]["id"] == "CP 1"
