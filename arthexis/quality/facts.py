"""What is known of a distribution without running a line of it: metadata, files, syntax, and where it is worked on."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.message import Message
from functools import cached_property
from importlib.machinery import PathFinder
from importlib.metadata import Distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from arthexis.plugins.compatibility import needed
from arthexis.plugins.contain import attempt
from arthexis.plugins.states import Plugin

MOST_FILES = 2_000
MOST_BYTES = 1 << 20
MARKS = ("setup.cfg", "pyproject.toml", "setup.py")
ABOVE = 4

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass
class Facts:
    """A distribution that is looked at: its plugins, its roles, what all others import as, and what probes saw.

    ``roles`` are the targets of its roles, ``problems`` what is wrong with them; ``others`` maps the package of each
    other distribution with plugins to its name. ``probes`` holds the result of each step by its name, or a text that
    says why there is none.
    """

    name: str
    version: str
    installed: Distribution
    plugins: list[Plugin] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    others: dict[str, str] = field(default_factory=dict)
    probes: dict[str, dict[str, Any] | str] = field(default_factory=dict)

    @cached_property
    def metadata(self) -> Message:
        """What its installer wrote down of it."""
        found: Any = self.installed.metadata
        return found if isinstance(found, Message) else Message()

    def told(self, key: str) -> list[str]:
        """Every value of a member of the metadata."""
        return [str(value) for value in self.metadata.get_all(key) or []]

    @cached_property
    def needs_host(self) -> str:
        """The versions of the host that it requires."""
        return needed(self.told("Requires-Dist"))

    @cached_property
    def readme(self) -> str:
        """Its long description."""
        payload = self.metadata.get_payload()
        return (payload if isinstance(payload, str) else "").strip() or self.metadata.get("Description", "")

    @cached_property
    def packages(self) -> list[str]:
        """The top-level packages that its entry points name."""
        targets = [plugin.target for plugin in self.plugins] + self.roles
        return sorted({target.partition(":")[0].partition(".")[0] for target in targets})

    @cached_property
    def sources(self) -> list[Path]:
        """Its modules, as far as they lie on the disk; migrations are no part of what is read here."""
        found: list[Path] = []
        for package in self.packages:
            found += [path for path in _modules(package) if "migrations" not in path.parts]
        return found[:MOST_FILES]

    @cached_property
    def trees(self) -> dict[Path, ast.Module]:
        """The syntax of each of its modules that has one."""
        return {path: tree for path in self.sources if (tree := _tree(path)) is not None}

    @cached_property
    def typed(self) -> list[str]:
        """The packages that say ``py.typed``."""
        return [p for p in self.packages if any((path / "py.typed").is_file() for path in _folders(p))]

    @cached_property
    def checkout(self) -> Path | None:
        """The folder that it is worked on in, where it is installed from one editably; else None."""
        for place in [path for package in self.packages for path in _places(package)]:
            if {"site-packages", "dist-packages"} & set(place.parts):
                continue
            for folder in list(place.parents)[:2]:
                if any((folder / mark).is_file() for mark in MARKS):
                    return folder
        return None

    @cached_property
    def tests(self) -> list[Path]:
        """The test modules of its checkout."""
        if self.checkout is None:
            return []
        found = {path for name in ("test_*.py", "*_test.py") for path in self.checkout.glob(f"test*/**/{name}")}
        return sorted(found)[:MOST_FILES]

    def above(self, *names: str) -> list[Path]:
        """Files or folders of these names in the checkout, or in a folder above it up to the repository's root."""
        found: list[Path] = []
        for folder in [self.checkout, *self.checkout.parents][:ABOVE] if self.checkout is not None else ():
            found += [folder / name for name in names if (folder / name).exists()]
            if (folder / ".git").exists():
                break
        return found

    def nodes(self, *kinds: type[ast.AST]) -> Iterator[tuple[str, Any]]:
        """Every node of these kinds with the place of its line."""
        for path, tree in self.trees.items():
            for node in ast.walk(tree):
                if isinstance(node, kinds):
                    yield f"{path.name}:{getattr(node, 'lineno', 1)}", node

    def imported(self) -> Iterator[tuple[str, str]]:
        """Every module that it imports by name, with the place; what is there for types only counts, too."""
        for place, node in self.nodes(ast.Import, ast.ImportFrom):
            if isinstance(node, ast.Import):
                yield from ((place, alias.name) for alias in node.names)
            elif not node.level:
                yield place, node.module or ""


def text_of(path: Path) -> str:
    """The text of a file; empty where it cannot be read or is no text."""
    text, _ = attempt(path.read_text, "utf-8")
    return text or ""


def _tree(path: Path) -> ast.Module | None:
    tree, _ = attempt(lambda: ast.parse(path.read_bytes()[:MOST_BYTES]))
    return tree


def _places(package: str) -> list[Path]:
    """The folder of a package, or the file of a module; nothing is imported for it."""
    spec, _ = attempt(PathFinder.find_spec, package)
    if spec is None:
        spec, _ = attempt(find_spec, package)
    if spec is None:
        return []
    if spec.submodule_search_locations is not None:
        return [Path(place) for place in spec.submodule_search_locations]
    return [Path(spec.origin)] if spec.origin and spec.origin.endswith(".py") else []


def _folders(package: str) -> list[Path]:
    return [place for place in _places(package) if place.is_dir()]


def _modules(package: str) -> list[Path]:
    found: list[Path] = []
    for place in _places(package):
        found += sorted(place.rglob("*.py")) if place.is_dir() else [place]
    return found
