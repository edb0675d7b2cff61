"""Packages: what pip would do to this environment, shown before it does it, and then done exactly as it was shown.

pip runs as a process of this interpreter, so that plugins land where the node looks for them. The host never changes
on the way: it is a constraint of every plan.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from configparser import ConfigParser
from dataclasses import asdict, dataclass, replace
from importlib.metadata import Distribution, EntryPoint, distributions
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import arthexis
from arthexis.errors import Refused, Unavailable
from arthexis.plugins.compatibility import HOST
from arthexis.plugins.contain import attempt
from arthexis.plugins.discover import GROUP, normal

ROLES = "arthexis.roles"
PATIENCE_S = 1800.0
MOST_SAID = 12
ABSENT = "See that its name and version are right; without a wheel, --from-source builds it, which runs its code"
NO_NETWORK = ("NewConnectionError", "ConnectTimeoutError", "NameResolutionError", "Max retries exceeded", "ProxyError")


@dataclass(frozen=True, slots=True)
class Options:
    """How pip is to look for what is asked: as its own options of these names mean it.

    Only wheels are taken, unless ``from_source``: whatever has to be built runs its own code while the plan is made.
    """

    find_links: tuple[str, ...] = ()
    no_index: bool = False
    upgrade: bool = False
    force_reinstall: bool = False
    pre: bool = False
    editable: tuple[str, ...] = ()
    no_build_isolation: bool = False
    from_source: bool = False

    def sources(self) -> list[str]:
        """Where packages come from, as arguments."""
        links = [part for place in self.find_links for part in ("--find-links", place)]
        plain = {"--no-index": self.no_index, "--pre": self.pre, "--no-build-isolation": self.no_build_isolation}
        wheels = [] if self.from_source else ["--only-binary", ":all:"]
        return [*links, *wheels, *(option for option, given in plain.items() if given)]

    def wishes(self) -> list[str]:
        """What else is asked of the plan, as arguments."""
        edited = [part for place in self.editable for part in ("--editable", place)]
        return [*edited, *(["--upgrade"] if self.upgrade else [])]


@dataclass(frozen=True, slots=True)
class Change:
    """One distribution that would be installed; ``before`` is the version that it replaces, if any.

    ``plugins`` and ``roles`` are the names that it brings, as far as it was asked for or is made for Arthexis.
    ``line`` is what pip is told to install, ``sha256`` the hash of the archive, where there is one.
    """

    distribution: str
    version: str
    before: str | None
    url: str
    requested: bool
    editable: bool
    line: str
    sha256: str | None
    plugins: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON shows it."""
        return {**asdict(self), "plugins": list(self.plugins), "roles": list(self.roles)}


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be installed, and what is there already and would break of it."""

    changes: tuple[Change, ...]
    breaks: tuple[str, ...]
    options: Options


def plan(requirements: Sequence[str], options: Options) -> Plan:
    """What pip would do for these requirements; nothing is installed. Raises ``ArthexisError``."""
    _usable()
    option = next((text for text in requirements if text.startswith("-")), None)
    if option is not None:
        cure = "Name packages, wheels or folders; options of Arthexis come before them"
        raise Refused(f"{option} is no requirement", place="plugins install", cure=cure)
    with tempfile.TemporaryDirectory(prefix="arthexis-plan-") as folder:
        told = _reported(requirements, options, Path(folder))
        found = [_change(one) for one in told]
        likely = [change for change, one in zip(found, told, strict=True) if change.requested or _for_us(one)]
        brought = _brought(likely, options, Path(folder))
    changes = tuple(_with(change, brought.get(change.distribution)) for change in found)
    return Plan(changes, tuple(_broken({change.distribution: change for change in changes})), options)


def _reported(requirements: Sequence[str], options: Options, folder: Path) -> list[dict[str, Any]]:
    """What pip reports that it would install: what is missing, and once more what was named, where that is asked for.

    pip alone would install again everything that the named ones need, the host among it.
    """
    report, constraints = folder / "report.json", folder / "constraints.txt"
    constraints.write_text(f"{HOST}=={arthexis.__version__}\n", "utf-8")
    wanted = ["--dry-run", "--report", str(report), "--constraint", str(constraints), *options.sources()]
    _pip("install", *wanted, *options.wishes(), *requirements)
    told = _installs(report)
    if options.force_reinstall:
        _pip("install", *wanted, *options.wishes(), "--force-reinstall", "--no-deps", *requirements)
        told |= _installs(report)
    if HOST in told:
        raise Refused("the host does not install itself", place=HOST, cure=f"Use pip: pip install {HOST}")
    return list(told.values())


def _installs(report: Path) -> dict[str, dict[str, Any]]:
    """What a report of pip's would install, by normal name."""
    return {normal(one["metadata"]["name"]): one for one in json.loads(report.read_text("utf-8"))["install"]}


def _for_us(told: Mapping[str, Any]) -> bool:
    """Whether a distribution says that it needs the host."""
    return any(name == HOST for name, _ in _requirements(told["metadata"].get("requires_dist", ())))


def carry_out(planned: Plan) -> None:
    """Install what was shown: these versions, each of the hash that it has, and nothing else.

    Those with a hash come first, by themselves: pip takes a file of requirements with hashes for all, or for none.
    """
    hashed = [c for c in planned.changes if c.sha256 is not None and not c.editable]
    others = [c for c in planned.changes if c not in hashed]
    _install([f"{change.line} --hash=sha256:{change.sha256}" for change in hashed], planned.options)
    _install([f"-e {change.line}" if change.editable else change.line for change in others], planned.options)
    importlib.invalidate_caches()
    there = installed()
    for change in planned.changes:
        if change.distribution not in there or there[change.distribution].version != change.version:
            raise Refused(
                f"{change.distribution} {change.version} is installed, and another one is found before it",
                place=change.distribution,
                cure="See `arthexis plugins info` where it lies, and take that folder from the path",
            )


def _install(lines: Sequence[str], options: Options) -> None:
    """Install these lines of a file of requirements, if there are any, and nothing that they need."""
    if not lines:
        return
    with tempfile.TemporaryDirectory(prefix="arthexis-install-") as folder:
        listed = Path(folder, "requirements.txt")
        listed.write_text("\n".join([*lines, ""]), "utf-8")
        again = ["--force-reinstall"] if options.force_reinstall else []
        _pip("install", "--no-deps", *again, *options.sources(), "--requirement", str(listed))


def remove(names: Sequence[str]) -> None:
    """Uninstall distributions."""
    _usable()
    _pip("uninstall", "--yes", *names)
    importlib.invalidate_caches()
    left = [name for name in installed() if name in names]
    if left:
        raise Refused(
            f"pip left {left[0]} where it is, or there is another of it",
            place=str(installed()[left[0]].locate_file("")),
            cure="It belongs to another environment: uninstall it with the Python of that one",
        )


def installed() -> dict[str, Distribution]:
    """Every distribution of this environment by its normal name, of a shadowed one the first."""
    found: dict[str, Distribution] = {}
    for distribution in distributions():
        name, error = attempt(lambda one=distribution: normal(one.metadata["Name"]))
        if error is None and name is not None:
            found.setdefault(name, distribution)
    return found


def brings(distribution: Distribution) -> tuple[list[str], list[str]]:
    """The names of the plugins and of the roles that a distribution brings."""
    points = distribution.entry_points
    return [p.name for p in points if p.group == GROUP], [p.name for p in points if p.group == ROLES]


def needed_by(names: Iterable[str]) -> list[tuple[str, str]]:
    """Which other distributions need one of these: pairs of who needs and what."""
    going = {normal(name) for name in names}
    return [
        (name, need)
        for name, distribution in installed().items()
        if name not in going
        for need, _ in _requirements(distribution.requires or ())
        if need in going
    ]


# ---------------------------------------------------------------------- pip


def _usable() -> None:
    """Raise where pip is missing, or where the environment belongs to the operating system."""
    if find_spec("pip") is None:
        raise Unavailable(
            "pip is not installed in this environment",
            place=sys.prefix,
            cure=f"Run: {sys.executable} -m ensurepip (Debian: apt install python3-pip python3-venv)",
        )
    marker = Path(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED")
    if sys.prefix == sys.base_prefix and marker.exists():
        raise Refused(
            "this Python belongs to the operating system, which forbids installing into it",
            place=str(marker),
            cure="Run Arthexis in an environment of its own: python3 -m venv, then install arthexis-host there",
        )


def _pip(command: str, *arguments: str) -> None:
    """Run pip; raises ``ArthexisError`` with what it said in a few words."""
    quick = ("--retries", "1", "--timeout", "15") if command != "uninstall" else ()
    whole = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", command, *quick, *arguments]
    try:
        done = subprocess.run(whole, capture_output=True, text=True, timeout=PATIENCE_S, check=False, errors="replace")
    except subprocess.TimeoutExpired:
        raise Unavailable("pip does not end", place=f"pip {command}", cure="Try again, or use --find-links") from None
    if done.returncode != 0:
        raise _told(command, f"{done.stdout}\n{done.stderr}")


def _told(command: str, said: str) -> Refused | Unavailable:
    """What went wrong, from what pip wrote."""
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith("WARNING: Location")]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
    place = f"pip {command}"
    if "ResolutionImpossible" in said or "conflict is caused by" in said:
        start = next((n for n, line in enumerate(lines) if "conflict is caused by" in line), 0)
        reasons = [line for line in lines[start + 1 :] if "depends on" in line or "requested" in line]
        problem = f"these do not fit together: {'; '.join(reasons[:MOST_SAID]) or 'see pip'}"
        return Refused(problem, place=place, cure=f"Ask for other versions; the host stays {arthexis.__version__}")
    if any(word in said for word in NO_NETWORK):
        cure = "See to the network, or install from files: --no-index --find-links FOLDER"
        return Unavailable("no package index can be reached", place=place, cure=cure)
    if "externally-managed-environment" in said:
        return Refused("the operating system forbids it", place=place, cure="Run Arthexis in an environment of its own")
    absent = next((line for line in errors if "No matching distribution found for" in line), None)
    if absent is not None:
        wanted = absent.partition("No matching distribution found for ")[2]
        why = next((line for line in errors if line.startswith("Could not find a version")), "")
        versions = why.partition("(from versions: ")[2].rstrip(")")
        known = f"; there are {versions}" if versions not in ("", "none") else ""
        return Refused(f"there is no {wanted}{known}", place=place, cure=ABSENT)
    told = " ".join((errors or lines)[-3:])[:500]
    return Refused(told or "it failed", place=place, cure="See what pip says to it by hand")


# ---------------------------------------------------------------------- what a report says


def _change(told: Mapping[str, Any]) -> Change:
    """One entry of pip's installation report."""
    meta, info = told["metadata"], told["download_info"]
    name, version, url = normal(meta["name"]), meta["version"], info["url"]
    there = installed().get(name)
    editable = bool(info.get("dir_info", {}).get("editable"))
    archive = info.get("archive_info", {})
    direct = told.get("is_direct", False)
    vcs = info.get("vcs_info")
    place = f"{vcs['vcs']}+{url}@{vcs['commit_id']}" if vcs else url
    line = _path(url) if editable else f"{name} @ {place}" if direct else f"{name}=={version}"
    return Change(
        distribution=name,
        version=version,
        before=there.version if there is not None else None,
        url=url,
        requested=bool(told.get("requested")),
        editable=editable,
        line=line,
        sha256=archive.get("hashes", {}).get("sha256"),
    )


def _path(url: str) -> str:
    return url2pathname(urlsplit(url).path)


Brought = tuple[tuple[str, ...], tuple[str, ...]]


def _brought(likely: Sequence[Change], options: Options, folder: Path) -> dict[str, Brought]:
    """The plugins and roles of each distribution, read from its wheel, which is fetched or built where it must be."""
    wheels = {c.distribution: Path(_path(c.url)) for c in likely if c.url.endswith(".whl") and _is_file(c)}
    others = [change for change in likely if change.distribution not in wheels]
    if others:
        target = folder / "wheels"
        lines = [_path(c.url) if c.editable else c.line for c in others]
        _pip("wheel", "--no-deps", "--wheel-dir", str(target), *options.sources(), *lines)
        named = {normal(path.name.partition("-")[0]): path for path in target.glob("*.whl")}
        wheels |= {change.distribution: named[change.distribution] for change in others}
    return {name: _in_wheel(path) for name, path in wheels.items()}


def _is_file(change: Change) -> bool:
    return urlsplit(change.url).scheme == "file"


def _in_wheel(path: Path) -> Brought:
    """Plugins and roles of a wheel; it is only read."""
    with zipfile.ZipFile(path) as wheel:
        names = [name for name in wheel.namelist() if name.endswith(".dist-info/entry_points.txt")]
        points = wheel.read(names[0]).decode("utf-8", "replace") if names else ""
    found, error = attempt(lambda: _points(points))
    kept = found if error is None and found is not None else ()
    return tuple(p.name for p in kept if p.group == GROUP), tuple(p.name for p in kept if p.group == ROLES)


def _points(text: str) -> list[EntryPoint]:
    """The entry points of an ``entry_points.txt``."""
    parser = ConfigParser(interpolation=None, delimiters=("=",), strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return [EntryPoint(name, parser[group][name], group) for group in parser.sections() for name in parser[group]]


def _with(change: Change, brought: Brought | None) -> Change:
    plugins, roles = brought or ((), ())
    return replace(change, plugins=plugins, roles=roles)


def _broken(changes: Mapping[str, Change]) -> Iterator[str]:
    """What is installed and would get a version of something that it does not want."""
    for name, distribution in installed().items():
        for need, allowed in _requirements(distribution.requires or ()) if name not in changes else ():
            change = changes.get(need)
            if change is not None and not allowed.contains(change.version, prereleases=True):
                yield f"{name} {distribution.version} needs {need} {allowed}, which would be {change.version}"


def _requirements(texts: Iterable[str]) -> Iterator[tuple[str, Any]]:
    """Each requirement that applies here: its normal name and the versions that it allows."""
    from packaging.requirements import InvalidRequirement, Requirement

    for text in texts:
        try:
            need = Requirement(text)
        except InvalidRequirement:
            continue
        if need.marker is None or need.marker.evaluate({"extra": ""}):
            yield normal(need.name), need.specifier
