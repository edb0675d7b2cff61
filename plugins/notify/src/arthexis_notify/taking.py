"""From events to notifications: rules applied, in one commit with what notifiers are to be given."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from arthexis import Connection, Event, Notification
from arthexis_notify import tables, texts
from arthexis_notify.rules import MOST_WAIT_S, Rule, values_of
from arthexis_notify.settings import Settings

Names = Collection[str]
BIGGEST: Final = 2**31 - 1
LONGEST_WAIT: Final = timedelta(seconds=MOST_WAIT_S)


def wanted(settings: Settings, event: Event) -> tuple[list[Rule], list[Rule]]:
    """The rules whose matter an event ends, and those that it begins one of."""
    values = values_of(event)
    ends = [rule for rule in settings.in_force if rule.until and rule.ends_with(event, values)]
    return ends, [rule for rule in settings.in_force if rule.begins_with(event, values)]


def taking(settings: Settings, event: Event, names: Names, at: datetime) -> Callable[[Connection], None] | None:
    """What stores everything that an event leads to, or None if it leads to nothing.

    ``names`` are the notifiers that are told where a rule names none. Storing it twice is storing it once.
    """
    ends, begins = wanted(settings, event)
    if not ends and not begins:
        return None

    def store(db: Connection) -> None:
        for rule in ends:
            _end(db, settings, rule, event, at)
        for rule in begins:
            if not tables.known(db, rule.name, event.id):
                _begin(db, settings, rule, event, names, at)

    return store


def _end(db: Connection, settings: Settings, rule: Rule, event: Event, at: datetime) -> None:
    """A matter is over: what was not told yet never is, and who was told hears that it is over."""
    values = values_of(event)
    ended = [
        row for row in tables.open_matters(db, rule.name, rule.matter(values)) if (row["event_id"] or 0) < event.id
    ]
    told = [row for row in ended if row["told_at"] is not None]
    tables.forget(db, [row["id"] for row in ended if row["told_at"] is None])
    for row in told:
        tables.change(db, row["id"], over_at=at)
    if not told or not rule.over or tables.known(db, rule.name, event.id):
        return
    names = list(dict.fromkeys(name for row in told for name in tables.receivers(db, row["id"])))
    kept = {**_of(rule, event, rule.over), "title": "", "priority": "event", "told_at": at, "over_at": at}
    number = tables.keep(db, kept)
    tables.queue(db, number, names, "event", at, settings.most_waiting)


def _begin(db: Connection, settings: Settings, rule: Rule, event: Event, names: Names, at: datetime) -> None:
    """A matter comes up: it is only counted while the one before is young or waits, told at once, or kept for later."""
    values = _of(rule, event, rule.text)
    before = tables.last(db, rule.name, values["matter"])
    if before is not None and _is_quiet(rule, before, at):
        tables.repeated(db, before["id"])
        return
    if rule.wait_s > 0:
        due_at = event.at + timedelta(seconds=rule.wait_s)
        tables.keep(db, {**values, "at": due_at, "due_at": due_at})
        return
    missed = tables.take_token(db, rule.name, rule.most, rule.per_s, at)
    if missed is None:
        return
    text = with_missed(values["text"], before["repeats"] if before is not None else 0, missed)
    number = tables.keep(db, {**values, "text": text, "told_at": at})
    _tell(db, settings, rule, number, values["key"], names, at)


def _is_quiet(rule: Rule, before: Mapping[str, Any], at: datetime) -> bool:
    """Whether a matter that comes up again is only counted: the one before waits to be told, or was just told."""
    if before["told_at"] is None:
        return True
    passed_s = (at - before["told_at"]).total_seconds()
    return bool(0 <= passed_s < rule.quiet_s)


def tell_due(settings: Settings, names: Names, at: datetime) -> Callable[[Connection], None]:
    """What tells of everything that has waited long enough and is not over."""
    rules = {rule.name: rule for rule in settings.in_force}

    def store(db: Connection) -> None:
        for row in tables.due(db, at, LONGEST_WAIT):
            rule = rules.get(row["rule"])
            missed = tables.take_token(db, rule.name, rule.most, rule.per_s, at) if rule is not None else None
            if rule is None or missed is None:  # the rule is gone, or has spoken too often
                tables.forget(db, [row["id"]])
                continue
            text = with_missed(row["text"], row["repeats"], missed)
            tables.change(db, row["id"], text=text, due_at=None, told_at=at, repeats=0)
            _tell(db, settings, rule, row["id"], row["key"], names, at)

    return store


def _tell(db: Connection, settings: Settings, rule: Rule, number: int, key: str, names: Names, at: datetime) -> None:
    tables.queue(db, number, list(dict.fromkeys(rule.to)) or names, rule.priority, at, settings.most_waiting)
    if rule.replace:
        tables.replace(db, key, number, at)


def with_missed(text: str, repeats: int, suppressed: int) -> str:
    """A text, and after it how many like it came before and were only counted or kept back."""
    parts = [f"{repeats} more like it before"] if repeats else []
    parts += [f"{suppressed} others were not sent"] if suppressed else []
    if not parts:
        return text
    said = f" ({', '.join(parts)})"
    return texts.clean(text, texts.MOST_TEXT - len(said)) + said


def _of(rule: Rule, event: Event, template: str) -> dict[str, Any]:
    """The row of a notification that a rule makes of an event."""
    values = values_of(event)
    matter = rule.matter(values)
    connector = values.get("connector")
    plain = isinstance(connector, int) and not isinstance(connector, bool) and abs(connector) <= BIGGEST
    return {
        "rule": rule.name,
        "event_id": event.id,
        "matter": matter,
        "kind": event.kind,
        "station": texts.clean(event.station, texts.MOST_FIELD) if event.station else None,
        "connector": connector if plain else None,
        "priority": rule.priority,
        "title": texts.filled(rule.title, values, texts.MOST_TITLE),
        "text": texts.filled(template, values),
        "key": f"{rule.name}/{matter}" if rule.replaces else "",
        "at": event.at,
        "lifetime_s": rule.lifetime_s,
    }


def saying(settings: Settings, said: Notification, names: Names, at: datetime) -> Callable[[Connection], int]:
    """What stores a notification that somebody says, for these notifiers; its number."""
    values = {
        "rule": None,
        "event_id": None,
        "matter": "",
        "kind": texts.clean(said.kind, texts.MOST_FIELD),
        "station": texts.clean(said.station, texts.MOST_FIELD) if said.station else None,
        "connector": said.connector,
        "priority": said.priority,
        "title": texts.clean(said.title, texts.MOST_TITLE),
        "text": texts.clean(said.text),
        "key": texts.clean(said.key, texts.MOST_FIELD),
        "at": said.at,
        "lifetime_s": said.lifetime_s,
        "told_at": at,
    }

    def store(db: Connection) -> int:
        number = tables.keep(db, values)
        tables.queue(db, number, names, said.priority, at, settings.most_waiting)
        if values["key"]:
            tables.replace(db, str(values["key"]), number, at)
        return number

    return store
