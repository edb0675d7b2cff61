"""Provenance: where a distribution lies, where it came from, and whether its files are as they were installed.

Everything is told from what the installer left behind (``RECORD``, ``direct_url.json``) and from the files themselves;
nothing is imported for it.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import os
import stat
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.machinery import PathFinder, all_suffixes
from importlib.metadata import Distribution, distributions
from importlib.util import find_spec
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit, urlunsplit
from urllib.request import url2pathname

from arthexis.plugins.contain import attempt

Integrity = Literal["as installed", "changed", "editable", "unrecorded"]
OF_THE_INSTALLER = frozenset({"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"})
HASHES = frozenset({"sha256", "sha384", "sha512"})
MOST_BYTES = 1 << 29
SUFFIXES = tuple(all_suffixes())


class Entry(NamedTuple):
    """A file as RECORD has it: its name there, where it lies, and its hash (empty where none is recorded)."""

    name: str
    path: str
    hash: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a distribution came from. ``sha256`` is over its installed files, the same for the same wheel everywhere.

    ``changed`` names the files that are not as RECORD says: other content, gone, or beside those it lists.
    """

    location: str
    installer: str
    source: str
    integrity: Integrity
    sha256: str | None = None
    changed: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON shows it."""
        return {**asdict(self), "changed": list(self.changed)}


def provenance(distribution: Distribution) -> Provenance:
    """Where a distribution came from; reads all of its files."""
    entries, changed = recorded(distribution), tampered(distribution)
    integrity: Integrity = "unrecorded" if entries is None else "changed" if changed else "as installed"
    editable = project(distribution) is not None
    return Provenance(
        location=_base(distribution),
        installer=(distribution.read_text("INSTALLER") or "").strip(),
        source=_source(_direct_url(distribution)),
        integrity="editable" if editable else integrity,
        sha256=None if editable or entries is None else _sha256(distribution, entries),
        changed=tuple(changed),
    )


def recorded(distribution: Distribution) -> list[Entry] | None:
    """The files that its installer recorded; None where it kept no record."""
    text = distribution.read_text("RECORD")
    if not text:
        return None
    base = _base(distribution)
    rows = (row for row in csv.reader(text.splitlines()) if row and row[0])
    return [Entry(row[0], _at(base, row[0]), row[1] if len(row) > 1 else "") for row in rows]


def tampered(distribution: Distribution) -> list[str]:
    """The files that are not as they were installed, with those that were put among them; an editable one has none."""
    entries = recorded(distribution)
    if entries is None or project(distribution) is not None:
        return []
    left = MOST_BYTES
    found = []
    for entry in entries:
        content = _content(entry.path, left) if entry.hash else b""
        left -= len(content or b"")
        if content is None or (entry.hash and not _matches(content, entry.hash)):
            found.append(entry.name)
    return found + [os.path.relpath(path, _base(distribution)) for path in _added(entries)]


def project(distribution: Distribution) -> str | None:
    """The folder of the project where it is installed editably, else None."""
    told = _direct_url(distribution)
    info = told.get("dir_info")
    if not (isinstance(info, dict) and info.get("editable") and str(told.get("url", "")).startswith("file:")):
        return None
    return os.path.realpath(url2pathname(urlsplit(str(told["url"])).path))


def outsider(module: str, distribution: Distribution) -> str | None:
    """The first file that importing this module would run and that the distribution did not install; else None."""
    entries = recorded(distribution)
    own = {entry.path for entry in entries or ()}
    root = project(distribution) or (os.path.realpath(_base(distribution)) if entries is None else None)
    for origin in _origins(module):
        inside = root is not None and _within(os.path.realpath(origin), root)
        if not inside and _at("", origin) not in own and not _same(origin, own):
            return origin
    return None


def owners(paths: set[str], but: Distribution) -> list[str]:
    """The other distributions that say they installed one of these files."""
    found = []
    for other in distributions():
        entries, error = attempt(recorded, other)
        name, unnamed = attempt(lambda one=other: one.metadata["Name"])
        if error is None and unnamed is None and _base(other) + str(name) != _base(but) + str(but.metadata["Name"]):
            found += [str(name)] if any(entry.path in paths for entry in entries or ()) else []
    return found


def placed(distribution: Distribution, names: list[str]) -> set[str]:
    """Where files of these recorded names lie."""
    return {_at(_base(distribution), name) for name in names}


def _origins(module: str) -> Iterator[str]:
    """The files that are run when a module is imported, its packages' first; what cannot be found ends the list."""
    parts = module.split(".")
    spec, error = attempt(find_spec, parts[0])
    for depth in range(1, len(parts) + 1):
        if error is not None or spec is None:
            return
        if spec.origin is not None and spec.origin != "namespace":
            yield spec.origin
        if depth < len(parts):
            where = spec.submodule_search_locations
            spec, error = attempt(PathFinder.find_spec, ".".join(parts[: depth + 1]), where) if where else (None, None)


def _added(entries: list[Entry]) -> Iterator[str]:
    """Modules that lie in the packages of these files and are none of them."""
    own = {entry.path for entry in entries}
    packages = {os.path.dirname(path) for path in own if os.path.basename(path).startswith("__init__.")}
    for package in sorted(packages):
        listed, _ = attempt(lambda folder=package: list(os.scandir(folder)))
        for file in listed or ():
            path = os.path.normcase(file.path)
            if file.is_dir() and path not in packages:
                yield from (at for s in SUFFIXES if os.path.exists(at := os.path.join(path, f"__init__{s}")))
            elif not file.is_dir() and path.endswith(SUFFIXES) and path not in own:
                yield path


def _content(path: str, most: int) -> bytes | None:
    """What a regular file holds, or None; nothing that is no file is opened, and none that is too large."""
    try:
        told = os.stat(path)
        if not stat.S_ISREG(told.st_mode) or told.st_size > most:
            return None
        with open(path, "rb") as file:
            return file.read(most)
    except OSError:
        return None


def _matches(content: bytes, recorded_hash: str) -> bool:
    kind, _, value = recorded_hash.partition("=")
    if kind not in HASHES:
        return False
    return base64.urlsafe_b64encode(hashlib.new(kind, content).digest()).rstrip(b"=").decode() == value.rstrip("=")


def _sha256(distribution: Distribution, entries: list[Entry]) -> str:
    """One hash over the names and contents of the installed files, but what each installation makes anew."""
    base, whole = _base(distribution), hashlib.sha256()
    for name, path, _ in sorted(entries):
        made_here = name.rpartition("/")[2] in OF_THE_INSTALLER or name.endswith(".pyc") or not _within(path, base)
        if not made_here:
            inner = hashlib.sha256(_content(path, MOST_BYTES) or b"").hexdigest()
            whole.update(f"{name} {inner}\n".encode("utf-8", "surrogateescape"))
    return whole.hexdigest()


def _direct_url(distribution: Distribution) -> dict[str, Any]:
    """What ``direct_url.json`` says (PEP 610); empty where it is missing or cannot be read."""
    try:
        told = json.loads(distribution.read_text("direct_url.json") or "{}")
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _source(told: dict[str, Any]) -> str:
    """The URL that it was installed from, without credentials, with the commit; empty for an index."""
    try:
        url = urlsplit(str(told.get("url", "")))
    except ValueError:
        return ""
    vcs = told.get("vcs_info")
    commit = f"@{vcs.get('commit_id', '')}" if isinstance(vcs, dict) else ""
    return urlunsplit(url._replace(netloc=url.netloc.rpartition("@")[2])) + commit


def _base(distribution: Distribution) -> str:
    return os.path.normcase(os.path.abspath(str(distribution.locate_file(""))))


def _at(base: str, name: str) -> str:
    return os.path.normcase(os.path.abspath(os.path.join(base, name)))


def _within(path: str, folder: str) -> bool:
    return os.path.normcase(path).startswith(os.path.join(os.path.normcase(folder), ""))


def _same(origin: str, own: set[str]) -> bool:
    """Whether a file is one of these under another name (a linked folder)."""
    real = os.path.normcase(os.path.realpath(origin))
    return any(os.path.basename(path) == os.path.basename(real) and os.path.realpath(path) == real for path in own)
