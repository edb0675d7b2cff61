"""Say over HTTP how many connectors are free: for programs with a token, and for everybody a plain number."""

from msgspec import Struct

from arthexis import NotFound, Route, connectors, hookimpl, stations


class Vacancy(Struct):
    free: int
    of: int


class Which(Struct, forbid_unknown_fields=True):
    station: str | None = None


async def count(host, identity=None):
    def read(db):
        found = stations.find(db, identity) if identity is not None else None
        if identity is not None and found is None:
            raise NotFound(f"no station {identity}", place="station")
        rows = connectors.page(db, station_id=found and found.row, limit=1000)
        return [row["status"] for row in rows if row["number"] > 0]

    statuses = await host.database.read(read)
    return Vacancy(statuses.count("Available"), len(statuses))


async def vacancy(request):
    return await count(request.host, request.params.station)


async def sign(request):
    return {"free": (await count(request.host)).free}


@hookimpl
def register_routes():
    yield Route("GET", "/vacancy", vacancy, "viewer", "How many connectors are free", params=Which, answer=Vacancy)
    yield Route("GET", "/vacancy.json", sign, public=True)
