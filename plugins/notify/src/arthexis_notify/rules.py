"""Rules: which events people are told of, with which words, by which notifiers, and how often at most."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct

from arthexis import ConfigError, Event
from arthexis_notify import texts

MOST_WAIT_S: Final = 7 * 86400
ALWAYS: Final = ("station", "kind", "at")
"""Fields that every event has."""

FIELDS: Final[Mapping[str, tuple[str, ...]]] = {
    "deployment.changed": ("deployment", "state", "said"),
    "diagnostics.status": ("status",),
    "disk.low": ("free_mb", "percent"),
    "disk.well": ("free_mb", "percent"),
    "files.uploaded": ("file", "size"),
    "firmware.status": ("status",),
    "job.failed": ("job", "name", "error"),
    "operation.finished": ("operation", "action", "state", "error"),
    "plugin.changed": ("plugin", "distribution", "state", "reason", "cure", "configured"),
    "reservation.changed": ("reservation_id", "state"),
    "station.booted": (
        *("registration", "vendor", "model", "serial_number", "charge_box_serial_number", "firmware_version"),
        *("iccid", "imsi", "meter_type", "meter_serial_number"),
    ),
    "station.connected": (),
    "station.disconnected": ("reason",),
    "status.changed": ("connector", "status", "error_code"),
    "tag.changed": ("id_tag", "status"),
    "tag.scanned": ("reader", "uid", "id_tag", "status"),
    "transaction.metered": ("transaction_id", "connector"),
    "transaction.started": ("transaction_id", "connector", "id_tag", "authorization", "meter_start_wh"),
    "transaction.stopped": ("transaction_id", "connector", "energy_wh", "meter_stop_wh", "reason", "flags"),
    "transaction.superseded": ("transaction_id", "connector"),
}
"""What the events of the house tell. Those of other plugins may tell anything, which is not checked."""

Scalar = str | int | float | bool
Priority = Literal["alarm", "event", "session", "status"]


def _doc(text: str, **limits: Any) -> Meta:
    return Meta(description=text, **limits)


class Bounds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"not_": "not"}):
    """A condition that is more than a value: above or below a number, or none of some values."""

    above: float | None = None
    below: float | None = None
    not_: Scalar | list[Scalar] | None = None

    def holds(self, value: object) -> bool:
        """Whether a value is within these bounds; what is no number is neither above nor below anything."""
        if self.not_ is not None and any(_same(value, each) for each in _several(self.not_)):
            return False
        if self.above is None and self.below is None:
            return True
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            return False
        return (self.above is None or value > self.above) and (self.below is None or value < self.below)


Condition = Scalar | list[Scalar] | Bounds
Conditions = dict[str, Condition]


def _several(value: Scalar | list[Scalar]) -> list[Scalar]:
    return value if isinstance(value, list) else [value]


def _same(value: object, wanted: Scalar) -> bool:
    """Whether two values are the same, and not merely equal: true is not 1."""
    return isinstance(value, bool) is isinstance(wanted, bool) and value == wanted


def holds(conditions: Conditions, values: Mapping[str, Any]) -> bool:
    """Whether every condition holds."""
    return all(
        condition.holds(values.get(name))
        if isinstance(condition, Bounds)
        else any(_same(values.get(name), each) for each in _several(condition))
        for name, condition in conditions.items()
    )


def values_of(event: Event) -> dict[str, Any]:
    """The fields of an event, for conditions and texts; its own three are never hidden by its data."""
    return {**event.data, "station": event.station, "kind": event.kind, "at": event.at}


def is_kind(kind: str, patterns: Iterable[str]) -> bool:
    """Whether a kind is meant: by its name, or by ``transaction.*``, or ``*``."""
    return any(
        pattern in {kind, "*"} or (pattern.endswith(".*") and kind.startswith(pattern[:-1])) for pattern in patterns
    )


Kind = Annotated[str, Meta(pattern=r"^(\*|[a-z][a-z0-9_]*(\.[a-z0-9_]+)*(\.\*)?)$", max_length=100)]
Lifetime = Annotated[float, Meta(gt=0, lt=366 * 86400)]
Text = Annotated[str, Meta(min_length=1, max_length=500)]


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule: which events, what is said, to whom, and how often at most. Times are in seconds."""

    name: Annotated[str, _doc("What the rule is called", pattern=r"^[a-z0-9][a-z0-9._-]{0,60}$")]
    on: Annotated[list[Kind], _doc("Kinds of event; `transaction.*` is every kind that begins so", min_length=1)]
    text: Annotated[Text, _doc("What is said; `{station}` and the fields of the event are filled in")]
    title: Annotated[str, _doc("A few words above it, with fields too", max_length=200)] = ""
    when: Annotated[Conditions, _doc("Conditions on fields: a value, a list of values, or above, below, not")] = {}
    stations: Annotated[list[str], _doc("Only of these stations; `*` and `?` stand for anything")] = []
    to: Annotated[list[str], _doc("Names of notifiers; none: every one that is set up")] = []
    priority: Annotated[Priority, _doc("How urgent it is")] = "event"
    about: Annotated[str, _doc("What makes two of them the same matter, with fields", max_length=200)] = ""
    replace: Annotated[bool, _doc("A newer one of the same matter takes the older one's place")] = False
    wait_s: Annotated[float, _doc("Say it only if it is not over after so long", ge=0, le=MOST_WAIT_S)] = 0.0
    lifetime_s: Annotated[Lifetime | None, _doc("Not worth sending or showing after so long")] = None
    quiet_s: Annotated[float, _doc("Repeats of the same matter within so long are only counted", ge=0)] = 0.0
    most: Annotated[int, _doc("So many at most within `per_s`; more are counted and said in the next", ge=1)] = 30
    per_s: Annotated[float, _doc("The time that `most` is for", gt=0)] = 3600.0
    until: Annotated[list[Kind], _doc("Kinds of event that end the matter")] = []
    until_when: Annotated[Conditions, _doc("Conditions on the fields of those")] = {}
    over: Annotated[str, _doc("What is said when the matter is over; nothing is, without", max_length=500)] = ""

    def __post_init__(self) -> None:
        """Refuse what can only fail later; raises ``ConfigError`` that names the rule and the fields there are."""
        for place, template in (("text", self.text), ("title", self.title), ("about", self.about)):
            self._check_template(place, template, self.on)
        self._check_template("over", self.over, self.until)
        self._check_names("when", self.when, self.on)
        self._check_names("until_when", self.until_when, self.until)
        if (self.over or self.until_when) and not self.until:
            raise self._wrong("nothing ends it", "Name the events that do in until, or leave over and until_when out")

    def _check_template(self, place: str, template: str, kinds: Collection[str]) -> None:
        try:
            names = texts.fields(template)
        except ValueError as error:
            raise self._wrong(f"{place}: {error}", "Mend the text") from None
        self._check_names(place, names, kinds)

    def _check_names(self, place: str, names: Iterable[str], kinds: Collection[str]) -> None:
        """Each name must be a field of each kind that is known; a kind that is not may have any."""
        for kind in kinds:
            for name in names:
                if name not in ALWAYS and kind in FIELDS and name not in FIELDS[kind]:
                    there = [*ALWAYS, *FIELDS[kind]]
                    close = difflib.get_close_matches(name, there, 1)
                    hint = f"Did you mean {close[0]}? " if close else ""
                    raise self._wrong(
                        f"{place}: {kind} has no field {name}", f"{hint}It has {', '.join(sorted(there))}"
                    )

    def _wrong(self, problem: str, cure: str) -> ConfigError:
        return ConfigError(problem, place=f"plugins.notify.rules, rule {self.name}", cure=cure)

    def begins_with(self, event: Event, values: Mapping[str, Any]) -> bool:
        """Whether an event is one that this rule tells of."""
        return is_kind(event.kind, self.on) and self._is_here(event.station) and holds(self.when, values)

    def ends_with(self, event: Event, values: Mapping[str, Any]) -> bool:
        """Whether an event ends a matter of this rule."""
        return is_kind(event.kind, self.until) and self._is_here(event.station) and holds(self.until_when, values)

    def _is_here(self, station: str | None) -> bool:
        if not self.stations:
            return True
        name = (station or "").casefold()
        return any(fnmatchcase(name, pattern.casefold()) for pattern in self.stations)

    def matter(self, values: Mapping[str, Any]) -> str:
        """What an event is about: two with the same text are the same matter."""
        if self.about:
            return texts.filled(self.about, values, texts.MOST_FIELD)
        named = [values.get(name) for name in ("station", "connector", "plugin") if values.get(name) is not None]
        return texts.clean("/".join(map(str, named)), texts.MOST_FIELD)

    @property
    def replaces(self) -> bool:
        """Whether a newer one takes the place of the older: told to, or because it is a matter that begins and ends."""
        return self.replace or bool(self.until)


def _of_plugin(name: str, when: Conditions, priority: Priority) -> Rule:
    """A rule of the house about a plugin in one of the states of ``when``, until it is well or meant not to run."""
    return Rule(
        name=name,
        on=["plugin.changed"],
        when=when,
        until=["plugin.changed"],
        until_when={"state": ["active", "stopped", "off"]},
        wait_s=30,
        priority=priority,
        title="Plugin {plugin} is {state}",
        text="Plugin {plugin} is {state}: {reason}. {cure}",
        over="Plugin {plugin} is {state} again",
        lifetime_s=86400,
    )


HOUSE_RULES: Final = (
    Rule(
        name="faulted",
        on=["status.changed"],
        when={"status": "Faulted"},
        until=["status.changed"],
        until_when={"status": Bounds(not_="Faulted")},
        priority="alarm",
        title="{station} has a fault",
        text="{station}, connector {connector}: {error_code}",
        over="{station}, connector {connector} is {status} again",
        quiet_s=600,
        lifetime_s=86400,
    ),
    Rule(
        name="offline",
        on=["station.disconnected"],
        until=["station.connected"],
        wait_s=600,
        priority="alarm",
        title="{station} is offline",
        text="{station} has been offline since {at}",
        over="{station} is online again",
        lifetime_s=86400,
    ),
    _of_plugin("plugin-failed", {"state": ["failed", "suspended"]}, "alarm"),
    _of_plugin("plugin-unavailable", {"state": "unavailable", "configured": True}, "alarm"),
    _of_plugin("plugin-absent", {"state": "unavailable", "configured": False}, "event"),
    Rule(
        name="disk-low",
        on=["disk.low"],
        until=["disk.well"],
        priority="alarm",
        title="The disk is nearly full",
        text="{free_mb} MB of the disk are free ({percent} %)",
        over="{free_mb} MB of the disk are free again",
        lifetime_s=86400,
    ),
    Rule(
        name="job-failed",
        on=["job.failed"],
        about="{name}",
        quiet_s=3600,
        title="Job {name} failed",
        text="Job {name} failed for good: {error}. See arthexis jobs list --state failed",
        lifetime_s=7 * 86400,
    ),
    Rule(
        name="firmware-failed",
        on=["firmware.status"],
        when={"status": ["DownloadFailed", "InstallationFailed"]},
        title="{station}: firmware",
        text="{station} could not renew its firmware: {status}",
        lifetime_s=7 * 86400,
    ),
    Rule(
        name="no-stop",
        on=["transaction.superseded"],
        title="{station}: a session without an end",
        text="{station}, connector {connector}: transaction {transaction_id} was followed by another and never stopped",
        lifetime_s=7 * 86400,
    ),
)
"""The rules where the settings name none."""
