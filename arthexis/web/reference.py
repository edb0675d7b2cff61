"""The API document as a page for people: plain HTML without a script, made from the document itself."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Any, Final

import msgspec

from arthexis.web.problems import KINDS, page_of

METHODS: Final = ("get", "post", "put", "patch", "delete")


def page(document: dict[str, Any]) -> str:
    """The page."""
    operations = [
        (method.upper(), path, told)
        for path, methods in document["paths"].items()
        for method, told in methods.items()
        if method in METHODS
    ]
    topics = [tag["name"] for tag in document["tags"]]
    parts = [_topic(topic, [each for each in operations if topic in each[2]["tags"]]) for topic in topics]
    contents = " · ".join(f"<a href='#{_anchor(topic)}'>{escape(topic)}</a>" for topic in topics)
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        "<title>Arthexis API</title><link rel=stylesheet href=/plain.css>"
        f"<h1>Arthexis API {escape(document['info']['version'])}</h1><p>{escape(document['info']['description'])}"
        " The machine-readable document is <a href=/api/openapi.json>openapi.json</a>.</p>"
        f"<p>{contents} · <a href='#schemas'>schemas</a> · <a href='#errors'>errors</a></p>"
        f"{''.join(parts)}{_schemas(document['components']['schemas'])}{_errors()}</html>"
    )


def _topic(topic: str, operations: Iterable[tuple[str, str, dict[str, Any]]]) -> str:
    told = "".join(_operation(*each) for each in operations)
    return f"<h2 id='{_anchor(topic)}'>{escape(topic.capitalize())}</h2>{told}"


def _operation(method: str, path: str, told: dict[str, Any]) -> str:
    return (
        f"<details id='{escape(told['operationId'])}'><summary><code>{method} {escape(path)}</code> "
        f"{escape(told['summary'])}</summary><p>{escape(told['description'])}</p>"
        f"{_parameters(told.get('parameters', []))}{_body(told)}{_answers(told['responses'])}</details>"
    )


def _parameters(parameters: list[dict[str, Any]]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(each['name'])}</code><td>{each['in']}{', required' if each['required'] else ''}"
        f"<td>{escape(_kind(each['schema']))}<td>{escape(each.get('description', ''))}</tr>"
        for each in parameters
    )
    return f"<table><tr><th>Member<th>Where<th>Kind<th>Meaning</tr>{rows}</table>" if rows else ""


def _kind(schema: dict[str, Any]) -> str:
    """A schema in a few words."""
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    bounds = [f"{word} {schema[key]}" for key, word in (("minimum", "from"), ("maximum", "to")) if key in schema]
    default = [f"default {schema['default']}"] if "default" in schema else []
    return ", ".join([str(schema.get("format") or schema.get("type", "any")), *bounds, *default])


def _body(told: dict[str, Any]) -> str:
    if "requestBody" not in told:
        return ""
    return "".join(
        f"<p>Body ({escape(media)}): {_named(content['schema']) or _json(content['schema'])}</p>"
        for media, content in told["requestBody"]["content"].items()
    )


def _answers(responses: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td>{status}<td>{escape(told['description'])}<td>{_content(told)}</tr>"
        for status, told in responses.items()
    )
    return f"<table><tr><th>Status<th>Meaning<th>Content</tr>{rows}</table>"


def _content(told: dict[str, Any]) -> str:
    return ", ".join(_named(c["schema"]) or escape(media) for media, c in told.get("content", {}).items())


def _named(schema: dict[str, Any]) -> str:
    """A link to the schema that a reference names; empty where it is none."""
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    return f"<a href='#schema-{escape(name)}'>{escape(name)}</a>" if name else ""


def _schemas(schemas: dict[str, Any]) -> str:
    told = "".join(
        f"<details id='schema-{escape(name)}'><summary><code>{escape(name)}</code></summary>{_json(schema)}</details>"
        for name, schema in sorted(schemas.items())
    )
    return f"<h2 id=schemas>Schemas</h2>{told}"


def _json(schema: dict[str, Any]) -> str:
    text = msgspec.json.format(msgspec.json.encode(schema), indent=2).decode()
    return f"<pre>{escape(text)}</pre>"


def _errors() -> str:
    rows = "".join(
        f"<tr><td><a href='{page_of(code)}'>{code}</a><td>{kind.status}<td>{escape(kind.title)}</tr>"
        for code, kind in KINDS.items()
    )
    return f"<h2 id=errors>Errors</h2><table><tr><th>Code<th>Status<th>Meaning</tr>{rows}</table>"


def _anchor(topic: str) -> str:
    return "topic-" + "".join(c if c.isalnum() else "-" for c in topic.lower())
