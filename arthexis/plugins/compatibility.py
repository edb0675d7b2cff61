"""Compatibility: which host a plugin is made for, and which version of it may run, both known before it is imported."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import TYPE_CHECKING

import arthexis

if TYPE_CHECKING:
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet

HOST = "arthexis-host"
Misfit = tuple[str, str]


def needed(requires: Iterable[str]) -> str:
    """The host versions that a distribution's requirements allow (``>=0.1,<0.2``); empty where they say nothing.

    What cannot be read stands there as it is, so that it fits no host.
    """
    meant = [text for text in requires if _names_host(text)]
    return ",".join(filter(None, (_host_versions(text) for text in meant)))


def _names_host(text: str) -> bool:
    """Whether a requirement may be one on the host; cheap, because most are not."""
    return text.lower().replace("_", "-").replace(".", "-").startswith(HOST)


@cache
def _host_versions(text: str) -> str:
    from packaging.requirements import InvalidRequirement
    from packaging.utils import canonicalize_name

    try:
        requirement = _requirement(text)
    except InvalidRequirement:
        return text
    if canonicalize_name(requirement.name) != HOST:
        return ""
    applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    return str(requirement.specifier) if applies else ""


def _requirement(text: str) -> Requirement:
    from packaging.requirements import Requirement

    return Requirement(text)


def unfit(distribution: str, needs_host: str, version: str = "") -> Misfit | None:
    """Why a plugin that needs these host versions cannot run on this one, and the cure; None where it can."""
    version = version or arthexis.__version__
    if not needs_host:
        return None
    allowed = specifiers(needs_host)
    if allowed is None:
        return f"which host it needs cannot be read: {needs_host!r}", f"Install another version of {distribution}"
    if allowed.contains(version, prereleases=True):
        return None
    return (
        f"it needs {HOST} {needs_host}, and this is {version}",
        f"Run: arthexis plugins install --upgrade {distribution}, or install a host that it is made for",
    )


def fits_pin(pin: str, version: str) -> bool:
    """Whether a version is the one that is pinned (``1.2``, ``1.2.*``), as ``==`` of pip understands it."""
    allowed = specifiers(f"=={pin}")
    return allowed is not None and allowed.contains(version, prereleases=True)


@cache
def specifiers(text: str) -> SpecifierSet | None:
    """A set of versions as pip writes it (``>=1,<2``); None for what is none."""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        return SpecifierSet(text)
    except InvalidSpecifier:
        return None
