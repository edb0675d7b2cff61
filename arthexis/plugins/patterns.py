"""How plugins are named: ``distribution:name``, wildcards only in the name, ``==1.2`` for one version only."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import NamedTuple

from arthexis.errors import ConfigError
from arthexis.plugins.compatibility import specifiers
from arthexis.plugins.discover import normal
from arthexis.plugins.states import Plugin


class Pin(NamedTuple):
    """The one version that the plugins of a pattern may have, and where that is written."""

    pattern: str
    version: str
    place: str


def checked(pattern: str, place: str) -> str:
    """A pattern ``distribution:name`` in its normal form, without its pin; raises ``ConfigError``."""
    distribution, colon, name = pattern.partition("==")[0].strip().partition(":")
    if not colon or not name or not distribution or any(c in distribution for c in "*?["):
        raise ConfigError(
            f"{pattern!r} names no plugin",
            place=place,
            cure="Write distribution:name, for example arthexis-ocpp16:ocpp16.heartbeat or arthexis-ocpp16:*",
        )
    if any(c in name for c in "<>=!~"):
        raise ConfigError(f"{pattern!r} is no pin", place=place, cure="Pin one version: distribution:name==1.2")
    return f"{normal(distribution)}:{name}"


def pinned(pattern: str, place: str) -> Pin | None:
    """The pin that a pattern ends with (``distribution:name==1.2``), or None; raises ``ConfigError``."""
    _, equals, version = pattern.partition("==")
    if equals and specifiers(f"=={version.strip()}") is None:
        raise ConfigError(f"{version!r} is no version", place=place, cure="Pin one version: distribution:name==1.2")
    return Pin(checked(pattern, place), version.strip(), place) if equals else None


def matching(plugin: Plugin, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns means this plugin."""
    return any(fnmatchcase(plugin.full_name, pattern) for pattern in patterns)
