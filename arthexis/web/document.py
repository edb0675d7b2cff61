"""The API document (OpenAPI 3.1) of a node, made from the routes that are composed: what is off is not in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final

import msgspec

from arthexis.contributions import Route
from arthexis.host import Host
from arthexis.plugins.contain import attempt
from arthexis.plugins.states import Plugin
from arthexis.web.problems import MEDIA, Problem

REF: Final = "#/components/schemas/{name}"
SCHEME: Final = "token"


def document(host: Host, own: Iterable[Route], contributed: Iterable[tuple[Plugin, Route]]) -> dict[str, Any]:
    """The document; a plugin whose types cannot be described is counted and its routes stay without them."""
    from arthexis import __version__

    routes = list(own) + [_describable(host, plugin, route) for plugin, route in contributed if not route.public]
    known = Schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.place, {})[route.method.lower()] = _operation(host, route, known)
    topics = dict.fromkeys(route.topic for route in routes)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Arthexis",
            "version": __version__,
            "summary": "Stations, what they charged, and what they are told",
            "description": "Errors are problem documents (RFC 9457); times are RFC 3339 in UTC; energy is in Wh.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{SCHEME: []}, *([{}] if host.open else [])],
        "tags": [{"name": topic} for topic in topics],
        "paths": paths,
        "components": {
            "schemas": known.components,
            "securitySchemes": {
                SCHEME: {"type": "http", "scheme": "bearer", "description": "An API token: arthexis tokens add NAME"}
            },
        },
    }


def _describable(host: Host, plugin: Plugin, route: Route) -> Route:
    """A plugin's route under the plugin's name, without types that have no schema."""
    named = replace(route, topic=route.topic or plugin.name)
    _, error = attempt(Schemas, [named])
    if error is None:
        return named
    host.contain.count(plugin, error)
    return replace(named, body=None, answer=None)


class Schemas:
    """The JSON Schemas of everything that routes take and give."""

    def __init__(self, routes: Iterable[Route]) -> None:
        """Describe the types of these routes; raises ``TypeError`` for one that has no schema."""
        types: list[Any] = [Problem]
        types += [kind for route in routes for kind in (route.body, route.answer) if kind is not None]
        schemas, self.components = msgspec.json.schema_components(types, ref_template=REF)
        self._schemas = list(zip(types, schemas, strict=True))

    def of(self, kind: Any) -> dict[str, Any]:
        """The schema of a type, mostly a reference."""
        return next(dict(schema) for known, schema in self._schemas if known is kind or known == kind)


def _operation(host: Host, route: Route, known: Schemas) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "description": " ".join(filter(None, (route.description, f"Access: {route.access}."))),
        "tags": [route.topic],
        "x-access": route.access,
    }
    parameters = [*_parameters(route), *_headers(route)]
    if parameters:
        told["parameters"] = parameters
    if route.body is not None:
        schema = known.of(route.body)
        told["requestBody"] = {
            "required": not _optional(route.body),
            "content": {"application/json": {"schema": schema}},
        }
    told["responses"] = {**_answers(route, known), **_errors(route, known)}
    if route.refine is not None:
        route.refine(host, told)
    return told


def _operation_id(route: Route) -> str:
    words = [part.strip("{}") for part in route.path.strip("/").split("/")]
    return "_".join([route.method.lower(), *words]).replace("-", "_").replace(".", "_").replace("~", "_")


def _optional(kind: Any) -> bool:
    """Whether a body may be left out: every member has a default."""
    is_struct = isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    return is_struct and not any(field.required for field in msgspec.structs.fields(kind))


def _parameters(route: Route) -> list[dict[str, Any]]:
    if route.params is None:
        return [{"name": n, "in": "path", "required": True, "schema": {"type": "string"}} for n in route.members]
    _, components = msgspec.json.schema_components([route.params], ref_template=REF)
    struct = components[route.params.__name__]
    return [
        _parameter(name, schema, in_path=name in route.members, required=name in struct["required"])
        for name, schema in struct["properties"].items()
    ]


def _parameter(name: str, schema: dict[str, Any], *, in_path: bool, required: bool) -> dict[str, Any]:
    """A member of the path or the query; there is no null in either."""
    bare = next((part for part in schema.get("anyOf", ()) if part != {"type": "null"}), schema)
    bare = {key: value for key, value in {**bare, **_default(schema)}.items() if key != "title"}
    told = {"name": name, "in": "path" if in_path else "query", "required": in_path or required, "schema": bare}
    description = bare.pop("description", "")
    return {**told, "description": description} if description else told


def _default(schema: dict[str, Any]) -> dict[str, Any]:
    return {"default": schema["default"]} if schema.get("default") is not None else {}


def _headers(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "header", "required": False, "description": meaning, "schema": _HEADER}
        for name, meaning in route.headers.items()
    ]


_HEADER: Final = {"type": "string", "pattern": "^[0-9]{1,18}$"}


def _answers(route: Route, known: Schemas) -> dict[str, Any]:
    schema = known.of(route.answer) if route.answer is not None else {}
    content = {"content": {route.media: {"schema": schema}}}
    return {
        str(status): {"description": meaning, **(content if status != HTTPStatus.NO_CONTENT else {})}
        for status, meaning in route.statuses.items()
    }


def _errors(route: Route, known: Schemas) -> dict[str, Any]:
    statuses = [400, 401, 403, 503]
    statuses += [404] if route.members or route.params is not None or route.body is not None else []
    statuses += [409] if route.conflicts else []
    statuses += [413, 415] if route.body is not None else []
    content = {MEDIA: {"schema": known.of(Problem)}}
    return {str(s): {"description": HTTPStatus(s).phrase, "content": content} for s in sorted(statuses)}
