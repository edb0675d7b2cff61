"""Files and deployments over HTTP: for people with an API token, and for stations with a token for one file."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote

from aiohttp import web
from msgspec import Meta, Struct, structs

from arthexis import Answer, ApiRequest, Connection, DomainError, Invalid, Route, format_utc
from arthexis_files import deployments, serving, store
from arthexis_files.deployments import Plan
from arthexis_files.node import files_of

NO_NUL: Final = r"^[^\x00]*$"
Name = Annotated[str, Meta(min_length=1, max_length=255, pattern=NO_NUL, description="A name for people")]
FileId = Annotated[
    str, Meta(min_length=1, max_length=255, pattern=NO_NUL, description="A file's id, or its name if only one has it")
]
DeploymentId = Annotated[str, Meta(min_length=1, max_length=64, pattern=NO_NUL, description="A deployment's id")]
Identity = Annotated[str, Meta(min_length=1, max_length=255, pattern=NO_NUL, description="A station's identity")]
Sha256 = Annotated[str, Meta(pattern="^[0-9A-Fa-f]{64}$", description="What its SHA-256 must be, in hexadecimal")]
Limit = Annotated[int, Meta(ge=1, le=1000, description="How many at most")]
Cursor = Annotated[str, Meta(pattern="^[0-9a-f]{1,15}$", description="`next` of the answer before")]
Moment = Annotated[datetime, Meta(tz=True, description="A time with its zone, RFC 3339")]


class Paged(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which page of a list."""

    limit: Limit = 100
    cursor: Cursor | None = None

    @property
    def place(self) -> int | None:
        """The number of the last one seen."""
        return int(self.cursor, 16) if self.cursor is not None else None


class File(Struct, kw_only=True):
    """A file: ``size`` in bytes, ``sha256`` in hexadecimal, ``station`` who brought it."""

    id: str
    kind: str
    name: str
    size: int
    sha256: str
    station: str | None
    added_by: str
    added_at: datetime


class FilePage(Struct, kw_only=True):
    """Part of the list of files."""

    items: list[File]
    next: str | None


class ListFiles(Paged, kw_only=True):
    """Which files."""

    kind: (
        Annotated[str, Meta(min_length=1, max_length=50, pattern=NO_NUL, description="firmware, diagnostics")] | None
    ) = None
    station: Identity | None = None


class NewFile(Struct, kw_only=True, forbid_unknown_fields=True):
    """How a file that is sent is kept; ``name`` may be left out where a form names it."""

    name: Name | None = None
    sha256: Sha256 | None = None


class OfFile(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which file."""

    file: FileId


class Deployment(Struct, kw_only=True):
    """A deployment. ``stations`` counts them by state; ``reason`` says why it stopped."""

    id: str
    kind: str
    state: str
    reason: str
    file: str | None
    file_name: str | None
    wave: int
    wave_size: int
    pause_s: float
    stop_after: int | None
    stop_percent: float | None
    scheme: str | None
    payload: dict[str, Any]
    stations: dict[str, int]
    created_by: str
    created_at: datetime
    next_wave_at: datetime | None
    until: datetime
    finished_at: datetime | None
    warnings: list[str] = []


class DeploymentPage(Struct, kw_only=True):
    """Part of the list of deployments."""

    items: list[Deployment]
    next: str | None


class Part(Struct, kw_only=True):
    """What became of one station: ``operation`` is what it was told, ``file`` what it brought."""

    station: str
    state: str
    said: str
    wave: int | None
    operation: str | None
    file: str | None
    asked_at: datetime | None
    deadline_at: datetime | None
    changed_at: datetime


class PartPage(Struct, kw_only=True):
    """Part of the list of a deployment's stations."""

    items: list[Part]
    next: str | None


class ListDeployments(Paged, kw_only=True):
    """Which deployments."""

    state: Annotated[str, Meta(min_length=1, max_length=50, pattern=NO_NUL)] | None = None


class OfDeployment(Struct, kw_only=True, forbid_unknown_fields=True):
    """Which deployment."""

    deployment: DeploymentId


class PartsOf(Paged, kw_only=True):
    """Which deployment's stations, and which page of them."""

    deployment: DeploymentId


class Members(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"):
    """Members of the request beside its location: of UpdateFirmware (OCPP 1.6 §6.49) or GetDiagnostics (§6.23)."""

    retries: Annotated[int, Meta(ge=0, le=100, description="How often the station tries")] | None = None
    retry_interval: Annotated[int, Meta(ge=0, le=86_400, description="Seconds between tries")] | None = None
    retrieve_date: Annotated[Moment, Meta(description="Firmware: fetched not before then")] | None = None
    start_time: Annotated[Moment, Meta(description="Diagnostics: from when")] | None = None
    stop_time: Annotated[Moment, Meta(description="Diagnostics: until when")] | None = None


class NewDeployment(Struct, kw_only=True, forbid_unknown_fields=True):
    """A file for stations, or without a file their diagnostics; ``payload`` adds members to the request."""

    stations: Annotated[list[Identity], Meta(min_length=1, max_length=10_000, description="Each is asked once")]
    file: FileId | None = None
    wave_size: Annotated[int, Meta(ge=1, le=10_000, description="So many stations at once")] = 10_000
    pause_s: Annotated[float, Meta(ge=0, le=2_592_000, description="Seconds between two waves")] = 0.0
    stop_after: Annotated[int, Meta(ge=0, le=10_000, description="Stop when more than so many failed")] | None = None
    stop_percent: Annotated[float, Meta(ge=0, le=100, description="… or this part of those that ended")] | None = None
    scheme: Literal["https", "ftps", "http", "ftp"] | None = None
    until: Moment | None = None
    payload: Members = Members()


# ---------------------------------------------------------------------- files


def _file(row: dict[str, Any]) -> File:
    shown = {**row, "id": row["uid"]}
    return File(**{name: shown[name] for name in File.__struct_fields__})


def _next(rows: list[Any], limit: int) -> str | None:
    return f"{rows[limit - 1]['id']:x}" if len(rows) > limit else None


async def list_files(request: ApiRequest) -> FilePage:
    """A page of files, the latest first."""
    asked: ListFiles = request.params

    def read(db: Connection) -> list[dict[str, Any]]:
        return store.rows(db, kind=asked.kind, station=asked.station, before=asked.place, limit=asked.limit + 1)

    rows = await request.host.database.read(read)
    return FilePage(items=[_file(row) for row in rows[: asked.limit]], next=_next(rows, asked.limit))


async def show_file(request: ApiRequest) -> File:
    """One file."""
    return _file(await request.host.database.read(lambda db: store.get(db, request.params.file)))


async def add_file(request: ApiRequest) -> Answer:
    """Keep the body, or the first file of a form, as firmware."""
    new: NewFile = request.params
    names = [new.name or ""]
    content = serving.pieces(request.http, names)
    files = files_of(request.host)
    try:
        incoming = await files.take(content, sha256=new.sha256)
    except serving.BROKEN_OFF as bad:
        raise Invalid(f"the body broke off: {bad}", place="body", cure="Send it again") from None
    uid = await files.shelve(incoming, store.FIRMWARE, new.name or names[-1], by=request.caller)
    found = await request.host.database.read(lambda db: store.get(db, uid))
    return Answer(_file(found), 201, {"Location": f"/api/v1/files/{uid}"})


async def remove_file(request: ApiRequest) -> Answer:
    """Delete a file."""
    await files_of(request.host).remove(request.params.file)
    return Answer(status=204)


async def file_content(request: ApiRequest) -> web.StreamResponse:
    """A file's bytes, as something to keep and never as something to show; one range of them, if one is asked for."""
    files = files_of(request.host)
    row = await request.host.database.read(lambda db: store.get(db, request.params.file))
    return await serving.whole(files.transfers, request.http, row)


# ---------------------------------------------------------------------- deployments


def _deployment(row: dict[str, Any], warnings: list[str] | None = None) -> Deployment:
    shown = {**row, "id": row["uid"], "warnings": warnings or []}
    return Deployment(**{name: shown[name] for name in Deployment.__struct_fields__})


async def _shown(request: ApiRequest, uid: str, warnings: list[str] | None = None) -> Deployment:
    row = await request.host.database.read(lambda db: deployments.shown(db, deployments.get(db, uid)))
    return _deployment(row, warnings)


async def list_deployments(request: ApiRequest) -> DeploymentPage:
    """A page of deployments, the latest first."""
    asked: ListDeployments = request.params

    def read(db: Connection) -> list[dict[str, Any]]:
        return deployments.rows(db, state=asked.state, before=asked.place, limit=asked.limit + 1)

    rows = await request.host.database.read(read)
    return DeploymentPage(items=[_deployment(row) for row in rows[: asked.limit]], next=_next(rows, asked.limit))


def _members(given: Members, kind: str) -> dict[str, Any]:
    """Members as OCPP has them; raises ``DomainError`` for one that the request of this kind has not."""
    found: dict[str, Any] = {}
    for field in structs.fields(given):
        value = getattr(given, field.name)
        if value is None:
            continue
        if field.name in OTHERS[kind]:
            raise DomainError(f"{kind} has no {field.encode_name}", place="payload", cure="Leave it out")
        try:
            found[field.encode_name] = format_utc(value) if isinstance(value, datetime) else value
        except (OverflowError, ValueError):
            raise DomainError("there is no such time in UTC", place="payload", cure="Choose another") from None
    return found


async def add_deployment(request: ApiRequest) -> Answer:
    """Begin a deployment."""
    new: NewDeployment = request.body
    kind = store.FIRMWARE if new.file is not None else store.DIAGNOSTICS
    payload = _members(new.payload, kind)
    plan = Plan(
        kind,
        tuple(new.stations),
        new.file,
        new.wave_size,
        new.pause_s,
        new.stop_after,
        new.stop_percent,
        new.scheme,
        payload,
    )
    files = files_of(request.host)
    uid = await files.deploy(plan, request.caller, new.until)
    told = await _shown(request, uid, files.warnings(new.scheme) if kind == store.FIRMWARE else [])
    return Answer(told, 202, {"Location": f"/api/v1/deployments/{quote(uid)}"})


async def show_deployment(request: ApiRequest) -> Deployment:
    """One deployment."""
    return await _shown(request, request.params.deployment)


async def list_parts(request: ApiRequest) -> PartPage:
    """What became of each station."""
    asked: PartsOf = request.params

    def read(db: Connection) -> list[dict[str, Any]]:
        number = deployments.get(db, asked.deployment)["id"]
        return deployments.parts(db, number, after=asked.place or 0, limit=asked.limit + 1)

    rows = await request.host.database.read(read)
    shown = [Part(**{name: row[name] for name in Part.__struct_fields__}) for row in rows[: asked.limit]]
    return PartPage(items=shown, next=_next(rows, asked.limit))


async def pause(request: ApiRequest) -> Deployment:
    """Ask nobody else for now."""
    await files_of(request.host).steer(request.params.deployment, "pause")
    return await _shown(request, request.params.deployment)


async def resume(request: ApiRequest) -> Deployment:
    """Go on, also after a stop; it does not stop by itself again."""
    await files_of(request.host).steer(request.params.deployment, "resume")
    return await _shown(request, request.params.deployment)


async def cancel(request: ApiRequest) -> Deployment:
    """Ask nobody else; what was asked goes on."""
    await files_of(request.host).steer(request.params.deployment, "cancel")
    return await _shown(request, request.params.deployment)


# ---------------------------------------------------------------------- stations


async def fetch(request: ApiRequest) -> web.StreamResponse:
    """Send a station its file."""
    return await files_of(request.host).stations.fetch(request)


async def bring(request: ApiRequest) -> web.StreamResponse:
    """Take a station's file."""
    return await files_of(request.host).stations.bring(request)


OTHERS: Final = {store.FIRMWARE: {"start_time", "stop_time"}, store.DIAGNOSTICS: {"retrieve_date"}}
PUBLIC: Final = "/files/{token}/{name:.*}"
_ONE: Final = "/deployments/{deployment}"
_F: Final = "files"
_D: Final = "deployments"

ROUTES: Final = (
    Route(
        "GET",
        "/files",
        list_files,
        "viewer",
        "List files, the latest first",
        params=ListFiles,
        answer=FilePage,
        topic=_F,
    ),
    Route(
        "POST",
        "/files",
        add_file,
        "administrator",
        "Keep firmware: the body is the file",
        "With `sha256`, content of another hash is refused.",
        params=NewFile,
        answer=File,
        timeout_s=None,
        statuses={201: "Kept"},
        conflicts=True,
        topic=_F,
        refine=lambda _host, told: told.update(
            requestBody={"required": True, "content": {"application/octet-stream": {"schema": {}}}},
        ),
    ),
    Route(
        "GET", "/files/{file}", show_file, "viewer", "Show a file", params=OfFile, answer=File, conflicts=True, topic=_F
    ),
    Route(
        "DELETE",
        "/files/{file}",
        remove_file,
        "administrator",
        "Delete a file",
        params=OfFile,
        statuses={204: "Deleted"},
        conflicts=True,
        topic=_F,
    ),
    Route(
        "GET",
        "/files/{file}/content",
        file_content,
        "operator",
        "Get a file's content",
        params=OfFile,
        media="application/octet-stream",
        timeout_s=None,
        topic=_F,
    ),
    Route(
        "GET",
        "/deployments",
        list_deployments,
        "viewer",
        "List deployments, the latest first",
        params=ListDeployments,
        answer=DeploymentPage,
        topic=_D,
    ),
    Route(
        "POST",
        "/deployments",
        add_deployment,
        "operator",
        "Roll firmware out, or get diagnostics",
        "With `file`, stations are told to fetch and install it; without, to bring their diagnostics.",
        body=NewDeployment,
        answer=Deployment,
        statuses={202: "It begins"},
        conflicts=True,
        topic=_D,
    ),
    Route(
        "GET", _ONE, show_deployment, "viewer", "Show a deployment", params=OfDeployment, answer=Deployment, topic=_D
    ),
    Route(
        "GET",
        f"{_ONE}/stations",
        list_parts,
        "viewer",
        "List what became of each station",
        params=PartsOf,
        answer=PartPage,
        topic=_D,
    ),
    *(
        Route(
            "POST",
            f"{_ONE}/{work.__name__}",
            work,
            "operator",
            summary,
            params=OfDeployment,
            answer=Deployment,
            conflicts=True,
            topic=_D,
        )
        for work, summary in (
            (pause, "Pause a roll-out"),
            (resume, "Go on with a roll-out"),
            (cancel, "Cancel a deployment"),
        )
    ),
    Route("GET", PUBLIC, fetch, public=True, timeout_s=None),
    Route("PUT", PUBLIC, bring, public=True, timeout_s=None),
    Route("POST", PUBLIC, bring, public=True, timeout_s=None),
)
