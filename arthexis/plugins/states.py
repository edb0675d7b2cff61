"""A plugin and how far it has come, with a reason and a cure wherever it stopped."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from importlib.metadata import Distribution
from types import ModuleType
from typing import Any, Final

MOST_RECENT: Final = 10


class State(StrEnum):
    """The ladder a plugin climbs, and the places where it can stand instead."""

    FOUND = "found"
    OFF = "off"
    SELECTED = "selected"
    IMPORTED = "imported"
    REGISTERED = "registered"
    CONFIGURED = "configured"
    MIGRATED = "migrated"
    ACTIVE = "active"
    UNAVAILABLE = "unavailable"
    DEGRADED = "degraded"
    SUSPENDED = "suspended"
    FAILED = "failed"
    STOPPED = "stopped"


LADDER = (
    State.FOUND,
    State.SELECTED,
    State.IMPORTED,
    State.REGISTERED,
    State.CONFIGURED,
    State.MIGRATED,
    State.ACTIVE,
)


RUNNING = frozenset({State.ACTIVE, State.DEGRADED, State.SUSPENDED})


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a plugin: when (UTC), in which of its hooks, what was raised and where in its files."""

    at: datetime
    hook: str
    error: str
    where: str

    def to_dict(self) -> dict[str, Any]:
        """The fault as JSON shows it."""
        return {"at": self.at, "hook": self.hook, "error": self.error, "where": self.where}


@dataclass(slots=True)
class Ailment:
    """What went wrong in one hook: how often, and whether it has worked since (``well``).

    ``failed_at`` is the latest fault, ``times`` are the latest ones (monotonic seconds). ``until`` is when a suspended
    one is called again, in monotonic seconds, ``until_at`` the same moment in UTC, ``pause_s`` how long its latest
    suspension is. ``left`` counts calls that were given up and have not ended.
    """

    hook: str
    faults: int = 0
    well: bool = False
    last: str = ""
    last_at: datetime | None = None
    failed_at: float = 0.0
    times: deque[float] = field(default_factory=deque)
    pause_s: float = 0.0
    until: float | None = None
    until_at: datetime | None = None
    left: int = 0

    def to_dict(self) -> dict[str, Any]:
        """The ailment as JSON shows it."""
        return {
            "hook": self.hook,
            "faults": self.faults,
            "well": self.well,
            "last": self.last,
            "last_at": self.last_at,
            "suspended_until": self.until_at,
        }


@dataclass(slots=True, eq=False)
class Plugin:
    """One entry point of the group ``arthexis.plugins``; ``stage`` is the rung it was climbing when it failed.

    ``chosen_by`` says who named it (a role, ``node.enable``), ``pin`` the only version that may run, ``needs_host`` the
    host versions that it is made for, ``retired`` what of it will stop working with a later host. ``ailing`` is true
    from a fault until everything that failed has worked again for a while. ``configured`` is true where file or
    environment have settings for it.
    """

    name: str
    distribution: str
    version: str
    target: str
    state: State = State.FOUND
    stage: State | None = None
    reason: str = ""
    cure: str = ""
    required: bool = False
    errors: int = 0
    ailing: bool = False
    ailments: dict[str, Ailment] = field(default_factory=dict, repr=False)
    recent: deque[Fault] = field(default_factory=lambda: deque(maxlen=MOST_RECENT), repr=False)
    settings: Any = None
    configured: bool = False
    module: ModuleType | None = None
    installed: Distribution | None = field(default=None, repr=False)
    needs_host: str = ""
    chosen_by: str = ""
    pin: str = ""
    retired: tuple[str, ...] = ()
    on_change: Callable[[Plugin], None] | None = field(default=None, repr=False)

    @property
    def full_name(self) -> str:
        """``distribution:name``, as roles and the configuration name it."""
        return f"{self.distribution}:{self.name}"

    @property
    def climbing(self) -> bool:
        """Whether the plugin is on its way up or has arrived."""
        return self.state in LADDER[1:] or self.state in RUNNING

    @property
    def standing(self) -> bool:
        """Whether its code may be called: not once it has failed."""
        return self.state is not State.FAILED

    @property
    def at_work(self) -> bool:
        """Whether it has started and runs, so that other plugins may call what it contributed."""
        return self.state in RUNNING

    def climb(self, state: State) -> None:
        """Reach the next rung."""
        self._move(state, "", "")

    def fail(self, stage: State, reason: str, cure: str) -> None:
        """Stop for good while reaching for ``stage``."""
        self.stage = stage
        self._move(State.FAILED, reason, cure)

    def or_off(self, cure: str) -> str:
        """A cure that only the plugin's author can apply, and what an operator does meanwhile."""
        joined = f"{cure} Mend it, or" if cure.endswith("?") else f"{cure}, or"
        return f"{joined} run: arthexis plugins disable {self.full_name}"

    def rest(self, state: State, reason: str, cure: str = "") -> None:
        """Stand aside (off, unavailable, degraded, suspended or stopped) with a reason."""
        self._move(state, reason, cure)

    def _move(self, state: State, reason: str, cure: str) -> None:
        changed = state is not self.state
        self.state, self.reason, self.cure = state, reason, cure
        if changed and self.on_change is not None:
            self.on_change(self)

    def to_dict(self) -> dict[str, Any]:
        """The plugin as JSON shows it."""
        return {
            "name": self.name,
            "distribution": self.distribution,
            "version": self.version,
            "state": self.state.value,
            "stage": self.stage.value if self.stage else None,
            "reason": self.reason,
            "cure": self.cure,
            "required": self.required,
            "errors": self.errors,
            "chosen_by": self.chosen_by,
            "pin": self.pin,
            "needs_host": self.needs_host,
            "retired": list(self.retired),
        }
