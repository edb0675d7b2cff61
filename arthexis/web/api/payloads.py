"""The payloads of operations in the API document: one branch for each action that a plugin declares."""

from __future__ import annotations

from typing import Any

from arthexis.host import Host


def one_for_each_action(host: Host, operation: dict[str, Any]) -> None:
    """Say in the document which ``payload`` each ``action`` takes; nothing is said where no plugin declares one."""
    content = operation["requestBody"]["content"]["application/json"]
    branches = [_branch(host, name) for name in sorted(host.operations.declared)]
    if branches:
        content["schema"] = {"allOf": [content["schema"], {"oneOf": branches}]}


def _branch(host: Host, action: str) -> dict[str, Any]:
    schema = host.operations.describe(action)["schema"]
    payload = located({name: told for name, told in schema.items() if name != "$defs"}, schema.get("$defs", {}))
    return {
        "title": action,
        "type": "object",
        "properties": {"action": {"const": action}, "payload": payload},
        "required": ["action", *(["payload"] if schema.get("required") else [])],
    }


def located(value: Any, definitions: dict[str, Any]) -> Any:
    """A schema with its references put in their place, so that it stands by itself."""
    if isinstance(value, list):
        return [located(each, definitions) for each in value]
    if not isinstance(value, dict):
        return value
    name = str(value.get("$ref", "")).rpartition("/")[2]
    if name in definitions:
        return located({**definitions[name], **{k: v for k, v in value.items() if k != "$ref"}}, definitions)
    return {key: located(each, definitions) for key, each in value.items()}
