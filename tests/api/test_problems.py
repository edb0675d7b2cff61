"""Whatever goes wrong below /api is a problem document with a code that the docs explain, and never a traceback."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from arthexis import errors
from arthexis.testing import Node
from arthexis.web import problems

JSON = {"Content-Type": "application/json"}
DOCS = Path(__file__).parents[2] / "docs" / "errors.md"


FAULTS = [
    ("GET", "/nothing", {}, 404, "not-found"),
    ("GET", "/stations/CP-1", {}, 404, "not-found"),
    ("PUT", "/stations", {}, 405, "method-not-allowed"),
    ("HEAD", "/events", {}, 405, None),
    ("TRACE", "/node", {}, 405, "method-not-allowed"),
    ("POST", "/tags", {"data": io.BytesIO(b"x" * ((1 << 20) + 1)), "headers": JSON}, 413, "too-large"),
    ("POST", "/tags", {"data": b"id_tag=TAG1"}, 415, "media-type"),
    ("POST", "/tags", {"data": b"{", "headers": JSON}, 400, "invalid"),
    ("POST", "/tags", {"data": b"\xff\xfe", "headers": JSON}, 400, "invalid"),
    ("POST", "/tags", {"data": b'{"id_tag":"\\ud800"}', "headers": JSON}, 400, "invalid"),
    ("POST", "/tags", {"data": b"[" * 100_000, "headers": JSON}, 400, "invalid"),
    ("POST", "/tags", {"json": {"id_tag": "x\0y"}}, 400, "invalid"),
    ("POST", "/tags", {"json": {"id_tag": "T" * 21}}, 400, "invalid"),
    ("POST", "/tags", {"json": {"id_tag": "T", "more": 1}}, 400, "invalid"),
    ("POST", "/tags", {"json": {"id_tag": "T", "expires_at": "9999-12-31T23:59:59-23:00"}}, 400, "invalid"),
    ("POST", "/tags", {}, 400, "invalid"),
    ("GET", "/transactions/99999999999999999999", {}, 400, "invalid"),
    ("GET", "/stations/%00", {}, 400, "invalid"),
    ("GET", "/stations/%FF", {}, 404, "not-found"),
    ("POST", "/control/nothing", {}, 404, "not-found"),
    ("POST", "/control/tags.add", {"data": b"[]"}, 400, "invalid"),
]


async def test_a_fault_of_the_caller_is_a_problem_document(api: Any) -> None:
    for method, path, more, status, code in FAULTS:
        reply = await api(method, path, **more)
        assert (reply.status, reply.headers["Content-Type"]) == (status, problems.MEDIA), (method, path)
        if method != "HEAD":
            assert (reply.body["code"], reply.body["status"], reply.body["type"]) == (
                code,
                status,
                f"/api/errors/{code}",
            ), path
            assert reply.body["detail"], path
            assert reply.body["cure"], path
        if status == 405:
            assert "GET" in reply.headers["Allow"]


async def test_a_fault_of_the_node_is_logged_and_not_shown(
    host: Node, api: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_fn: Any) -> None:
        raise ZeroDivisionError("secret of the inside")

    monkeypatch.setattr(host.host.database, "read_now", broken)
    reply = await api("GET", "/stations")
    assert (reply.status, reply.body["code"]) == (500, "internal")
    assert "secret" not in str(reply.body)
    assert "secret of the inside" in caplog.text


async def test_options_tells_the_methods_and_head_is_a_get_without_its_body(api: Any) -> None:
    options = await api("OPTIONS", "/tags")
    assert (options.status, options.headers["Allow"]) == (204, "GET, HEAD, OPTIONS, POST")
    head = await api("HEAD", "/tags")
    assert (head.status, head.body, int(head.headers["Content-Length"]) > 0) == (200, "", True)


def every_error() -> list[type[errors.ArthexisError]]:
    found = [errors.ArthexisError]
    for kind in found:
        found += kind.__subclasses__()
    return found


def test_every_code_is_explained_in_the_docs() -> None:
    assert {kind.code for kind in every_error()} <= set(problems.KINDS)
    text = DOCS.read_text("utf-8")
    assert problems.markdown() in text, "write docs/errors.md anew from arthexis.web.problems.markdown()"


async def test_every_code_has_its_page(api: Any) -> None:
    for code in problems.KINDS:
        reply = await api("GET", problems.page_of(code))
        assert reply.status == 200
        assert problems.KINDS[code].title in reply.body
    assert (await api("GET", "/api/errors/nothing")).status == 404


CURES = [
    ("/tags", {"id_tag": "T", "status": "Lost"}, "Use one of Accepted, Blocked, Expired, Invalid"),
    ("/tags", {"idtag": "T"}, "Did you mean id_tag?"),
    ("/tags", {"status": "Accepted"}, "Give id_tag: it is required"),
    ("/tags", {"id_tag": 7}, "Send str"),
    ("/tags", {"id_tag": "T", "expires_at": "tomorrow"}, "Write it like 2026-11-24T12:00:00Z"),
    ("/operations", {"stations": ["CP-1"], "action": "Reset", "payload": {"type": "x"}}, "Use one of Hard, Soft"),
    ("/control/tags.add", {"id_tag": "T", "nota": ""}, "Did you mean note?"),
]


@pytest.mark.plugins("arthexis-ocpp16:*")
async def test_a_wrong_member_comes_with_its_cure(api: Any) -> None:
    for path, body, cure in CURES:
        reply = await api("POST", path, json=body)
        assert (reply.status, reply.body["cure"]) == (400, cure), body
