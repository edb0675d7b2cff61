"""What the tests of the HTTP API share: a client with a token, and a plugin that is installed for one test."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio
from aiohttp import ClientSession

from arthexis.testing import Node


class Reply(NamedTuple):
    """An answer of the API: its status, its JSON (text where it is none), and its headers."""

    status: int
    body: Any
    headers: Any


class Client:
    """Asks a node below ``/api/v1``; ``token`` None sends none."""

    def __init__(self, node: Node, session: ClientSession, token: str | None = None) -> None:
        self.node = node
        self.session = session
        self.token = token

    def with_token(self, token: str | None) -> Client:
        return Client(self.node, self.session, token)

    async def __call__(self, method: str, path: str, **more: Any) -> Reply:
        url = self.node.url + (path if path.startswith("/api") else f"/api/v1{path}")
        headers = {**({"Authorization": f"Bearer {self.token}"} if self.token else {}), **more.pop("headers", {})}
        async with self.session.request(method, url, headers=headers, **more) as answer:
            is_json = answer.content_type.endswith("json") and method != "HEAD"
            return Reply(answer.status, await (answer.json() if is_json else answer.text()), answer.headers)


@pytest_asyncio.fixture
async def api(host: Node) -> AsyncIterator[Client]:
    """A client of the node."""
    async with ClientSession() as session:
        yield Client(host, session)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], str]:
    """Install a plugin for this test: ``install(name, source)``; the pattern that selects it."""

    def installed(name: str, source: str) -> str:
        folder = tmp_path / "site"
        info = folder / f"acme_{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (folder / f"acme_{name}.py").write_text(source, "utf-8")
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: acme-{name}\nVersion: 1.0\n", "utf-8")
        (info / "entry_points.txt").write_text(f"[arthexis.plugins]\n{name} = acme_{name}\n", "utf-8")
        monkeypatch.syspath_prepend(folder)
        monkeypatch.delitem(sys.modules, f"acme_{name}", raising=False)
        return f"acme-{name}:{name}"

    return installed
