"""Id tags: who may charge. Unknown ones are refused and kept in an inbox; nothing promotes them but a person."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import bindparam as bind

from arthexis.charging.decisions import Authorization
from arthexis.charging.ids import folded
from arthexis.charging.tables import tag, tag_alias, transaction, unknown_tag
from arthexis.db.statements import Connection, Prepared
from arthexis.errors import DomainError, NotFound

MOST_UNKNOWN = 1_000
MAX_TAG = 20
STATUSES = ("Accepted", "Blocked", "Expired", "Invalid")

_at = tag.c.added_at.type
FIND = Prepared(
    sa.select(tag.c.id, tag.c.status, tag.c.expires_at, tag.c.parent_id_tag, tag.c.account_id).where(
        tag.c.id_tag_key == bind("id_tag_key")
    )
)
FIND_ALIAS = Prepared(
    sa.select(tag.c.id, tag.c.status, tag.c.expires_at, tag.c.parent_id_tag, tag.c.account_id)
    .join(tag_alias, tag_alias.c.tag_id == tag.c.id)
    .where(tag_alias.c.alias_key == bind("id_tag_key"))
)
KEEP_UNKNOWN = Prepared(
    lambda insert: (
        insert(unknown_tag)
        .values(
            id_tag_key=bind("id_tag_key"),
            id_tag=bind("id_tag"),
            station=bind("station"),
            tries=1,
            first_at=bind("at", type_=_at),
            last_at=bind("at", type_=_at),
        )
        .on_conflict_do_update(
            index_elements=["id_tag_key"],
            set_={
                "station": bind("station"),
                "tries": unknown_tag.c.tries + 1,
                "last_at": bind("at", type_=_at),
            },
        )
    )
)
FORGET_OLDEST = Prepared(
    sa.delete(unknown_tag).where(
        unknown_tag.c.id_tag_key.in_(
            sa.select(unknown_tag.c.id_tag_key).order_by(unknown_tag.c.last_at.desc()).offset(MOST_UNKNOWN)
        )
    )
)
ELSEWHERE = Prepared(
    sa.select(transaction.c.id)
    .where(transaction.c.id_tag_key == bind("id_tag_key"), transaction.c.open.is_(True))
    .where(transaction.c.authorization == "Accepted")
    .where(sa.or_(transaction.c.station_id != bind("station_id"), transaction.c.connector != bind("connector")))
    .limit(1)
)


class Tag(NamedTuple):
    """An id tag that an operator added."""

    id: int
    status: str
    expires_at: datetime | None
    parent_id_tag: str | None
    account_id: int | None


def find(db: Connection, id_tag: str) -> Tag | None:
    """The tag of this text, or the one that has it as an alias, whatever its case; never by a prefix."""
    key = folded(id_tag)
    row = db.one(FIND, id_tag_key=key) or db.one(FIND_ALIAS, id_tag_key=key)
    return Tag(*row) if row else None


def decide(db: Connection, id_tag: str, station: str, at: datetime, *, admit_unknown: bool) -> Authorization:
    """What the node itself says of a tag (OCPP 1.6 §4.1): Accepted, Blocked, Expired, or Invalid where unknown.

    A text without any character that counts is no tag: it is not put in the inbox.
    """
    found = find(db, id_tag)
    if found is None:
        if admit_unknown:
            return Authorization("Accepted")
        keep_unknown(db, id_tag, station, at)
        return Authorization("Invalid")
    return judged(found, at)


def judged(found: Tag, at: datetime) -> Authorization:
    """What a tag's own row says at a moment."""
    if found.status != "Accepted":
        return Authorization(found.status, found.expires_at, found.parent_id_tag)  # type: ignore[arg-type]
    if found.expires_at is not None and found.expires_at <= at:
        return Authorization("Expired", found.expires_at, found.parent_id_tag)
    return Authorization("Accepted", found.expires_at, found.parent_id_tag)


def keep_unknown(db: Connection, id_tag: str, station: str, at: datetime) -> None:
    """Put an unknown tag in the inbox, which is bounded: the one not seen for longest goes first."""
    clipped = id_tag[: 4 * MAX_TAG]
    key = folded(clipped)
    if not key:
        return
    db.run(KEEP_UNKNOWN, id_tag_key=key, id_tag=clipped, station=station, at=at)
    db.run(FORGET_OLDEST)


def charging_elsewhere(db: Connection, id_tag_key: str, station_id: int, connector: int) -> bool:
    """Whether an open, accepted transaction runs on this tag (folded), but for one that stands on this connector."""
    if not id_tag_key:
        return False
    return db.one(ELSEWHERE, id_tag_key=id_tag_key, station_id=station_id, connector=connector) is not None


def add(
    db: Connection,
    id_tag: str,
    at: datetime,
    *,
    status: str = "Accepted",
    expires_at: datetime | None = None,
    parent_id_tag: str | None = None,
    note: str | None = None,
) -> None:
    """Add a tag, or change the one that is there; it leaves the inbox."""
    check(id_tag, status)
    values = {
        "id_tag": id_tag,
        "status": status,
        "expires_at": expires_at,
        "parent_id_tag": parent_id_tag,
        "note": note,
    }
    key = folded(id_tag)
    check_aliases(db, id_tag)
    if db.core.execute(sa.update(tag).where(tag.c.id_tag_key == key).values(**values)).rowcount == 0:
        db.core.execute(sa.insert(tag).values(id_tag_key=key, added_at=at, **values))
    db.core.execute(sa.delete(unknown_tag).where(unknown_tag.c.id_tag_key == key))
    db.event("tag.changed", None, {"id_tag": id_tag, "status": status})


def check(id_tag: str, status: str) -> None:
    """Raise ``DomainError`` for what no station could present as a tag, and for a status that there is not."""
    if not 0 < len(id_tag) <= MAX_TAG or not id_tag.isprintable():
        raise DomainError(
            f"{id_tag!r} cannot be an id tag", place="tag", cure=f"Use 1 to {MAX_TAG} printable characters"
        )
    if status not in STATUSES:
        raise DomainError(f"no status {status!r}", place="tag", cure=f"Use one of {', '.join(STATUSES)}")


def add_alias(db: Connection, id_tag: str, alias: str) -> bool:
    """Let ``alias`` stand for a tag as well; False if it did already. It leaves the inbox.

    Raises ``NotFound``, and ``DomainError`` where it is a tag itself or stands for another one.
    """
    row, key = get(db, id_tag), folded(alias)
    check_aliases(db, id_tag, [alias])
    db.core.execute(sa.delete(unknown_tag).where(unknown_tag.c.id_tag_key == key))
    if db.core.execute(sa.select(tag_alias).where(tag_alias.c.alias_key == key)).first() is not None:
        return False
    db.core.execute(sa.insert(tag_alias).values(alias_key=key, alias=alias, tag_id=row["id"]))
    db.event("tag.changed", None, {"id_tag": row["id_tag"], "status": row["status"]})
    return True


def check_aliases(db: Connection, id_tag: str, aliases: Iterable[str] = ()) -> None:
    """Raise ``DomainError`` unless these texts are free to stand for this tag, be it there or to come.

    An alias that hid another tag would hide its block as well.
    """
    own = folded(id_tag)
    for text in (id_tag, *aliases):
        key = folded(text)
        stands_for = sa.select(tag.c.id_tag_key, tag.c.id_tag).join(tag_alias).where(tag_alias.c.alias_key == key)
        is_one = sa.select(tag.c.id_tag_key, tag.c.id_tag).where(tag.c.id_tag_key == key)
        found = db.core.execute(stands_for).first() or db.core.execute(is_one).first()
        if found is not None and (found.id_tag_key != own or (text != id_tag and key == own)):
            raise DomainError(
                f"{text} is known as tag {found.id_tag} already",
                place="tag",
                cure=f"Change {found.id_tag}, or first run `arthexis tags unalias` or `arthexis tags remove` with it",
            )
    for text in aliases:
        check(text, "Accepted")
        if any(character.isspace() for character in text):
            raise DomainError(f"{text!r} cannot be an alias", place="tag", cure="Use one without blanks")


def remove_alias(db: Connection, alias: str) -> None:
    """Let an alias stand for nothing any more; raises ``NotFound``."""
    if db.core.execute(sa.delete(tag_alias).where(tag_alias.c.alias_key == folded(alias))).rowcount == 0:
        raise NotFound(f"{alias} is no alias", place="tag", cure="See `arthexis tags list`")


def remove(db: Connection, id_tag: str) -> None:
    """Forget a tag and its aliases; raises ``NotFound``."""
    mine = sa.select(tag.c.id).where(tag.c.id_tag_key == folded(id_tag)).scalar_subquery()
    db.core.execute(sa.delete(tag_alias).where(tag_alias.c.tag_id == mine))
    if db.core.execute(sa.delete(tag).where(tag.c.id_tag_key == folded(id_tag))).rowcount == 0:
        raise NotFound(f"no tag {id_tag}", place="tag", cure="See `arthexis tags list`")
    db.event("tag.changed", None, {"id_tag": id_tag, "status": None})


def rows(db: Connection) -> list[dict[str, Any]]:
    """Every tag, with its aliases."""
    found = _with_aliases(db, sa.select(tag).order_by(tag.c.id_tag))
    return [{name: value for name, value in row.items() if name not in {"id", "id_tag_key"}} for row in found]


def _with_aliases(db: Connection, wanted: sa.Select[Any]) -> list[dict[str, Any]]:
    """The rows of tags, each with the list of its aliases."""
    found = [{**row, "aliases": []} for row in db.core.execute(wanted).mappings()]
    by_id: dict[int, dict[str, Any]] = {row["id"]: row for row in found}
    numbers = wanted.with_only_columns(tag.c.id).subquery()
    stand_for = sa.select(tag_alias.c.tag_id, tag_alias.c.alias).join(numbers, numbers.c.id == tag_alias.c.tag_id)
    for number, alias in db.core.execute(stand_for.order_by(tag_alias.c.alias)):
        by_id[number]["aliases"].append(alias)
    return found


def page(db: Connection, *, status: str | None = None, after: int = 0, limit: int = 100) -> list[dict[str, Any]]:
    """Tags in the order in which they were added, behind number ``after``."""
    wanted = sa.select(tag).where(tag.c.id > after)
    if status is not None:
        wanted = wanted.where(tag.c.status == status)
    return _with_aliases(db, wanted.order_by(tag.c.id).limit(limit))


def get(db: Connection, id_tag: str) -> dict[str, Any]:
    """One tag, by its own text; raises ``NotFound``."""
    found = _with_aliases(db, sa.select(tag).where(tag.c.id_tag_key == folded(id_tag)))
    if not found:
        raise NotFound(f"no tag {id_tag}", place="tag", cure="See `arthexis tags list`")
    return found[0]


def known_as(db: Connection, id_tag: str) -> str | None:
    """The text of the tag that this is, or stands for; None where nobody knows it."""
    found = find(db, id_tag)
    return db.core.execute(sa.select(tag.c.id_tag).where(tag.c.id == found.id)).scalar_one() if found else None


def unknown(db: Connection) -> list[dict[str, Any]]:
    """The inbox of unknown tags, the latest first."""
    columns = [c for c in unknown_tag.c if c.name != "id_tag_key"]
    return [dict(row) for row in db.core.execute(sa.select(*columns).order_by(unknown_tag.c.last_at.desc())).mappings()]
