"""A plugin and how far it has come, with a reason and a cure wherever it stopped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from importlib.metadata import Distribution
from types import ModuleType
from typing import Any


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


@dataclass(slots=True, eq=False)
class Plugin:
    """One entry point of the group ``arthexis.plugins``; ``stage`` is the rung it was climbing when it failed.

    ``chosen_by`` says who named it (a role, ``node.enable``), ``pin`` the only version that may run, ``needs_host`` the
    host versions that it is made for, ``retired`` what of it will stop working with a later host.
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
    settings: Any = None
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
        return self.state in LADDER[1:] or self.state is State.DEGRADED

    @property
    def standing(self) -> bool:
        """Whether its code may be called: not once it has failed."""
        return self.state is not State.FAILED

    @property
    def at_work(self) -> bool:
        """Whether it has started and runs, so that other plugins may call what it contributed."""
        return self.state in {State.ACTIVE, State.DEGRADED}

    def climb(self, state: State) -> None:
        """Reach the next rung."""
        self._move(state, "", "")

    def fail(self, stage: State, reason: str, cure: str) -> None:
        """Stop for good while reaching for ``stage``."""
        self.stage = stage
        self._move(State.FAILED, reason, cure)

    def rest(self, state: State, reason: str, cure: str = "") -> None:
        """Stand aside (off, unavailable, degraded or stopped) with a reason."""
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
