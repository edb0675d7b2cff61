"""What may be asked for as an operation's payload: its request, without what is filled in, with names where they do."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from arthexis.contributions import Message, Operation
from arthexis.plugins.contain import kind
from arthexis.validation import invalid, whole_numbers


@cache
def _shape(request: type[Struct], filled: frozenset[str], named: frozenset[str]) -> type[Struct]:
    fields = []
    for field in msgspec.structs.fields(request):
        kind: Any = field.type
        if field.encode_name in named:
            kind = kind | str
        if field.encode_name in filled or not field.required:
            fields.append((field.name, kind | UnsetType, msgspec.field(name=field.encode_name, default=UNSET)))
        else:
            fields.append((field.name, kind, msgspec.field(name=field.encode_name)))
    return msgspec.defstruct(
        request.__name__,
        fields,
        namespace={"__doc__": request.__doc__},
        module=request.__module__,
        kw_only=True,
        forbid_unknown_fields=True,
    )


def no_members(more: object) -> str | None:
    """What a plugin gave instead of members of a payload, or None."""
    return None if more is None or isinstance(more, Mapping) else f"{kind(more)} instead of members of the payload"


def shape(operation: Operation, message: Message) -> type[Struct]:
    """The Struct of what may be asked for."""
    return _shape(message.request, operation.filled, operation.named)


def check(operation: Operation, message: Message, payload: Mapping[str, Any]) -> None:
    """Raise ``Invalid`` for a payload that is not well formed, whatever station it is for."""
    try:
        msgspec.convert(whole_numbers(dict(payload)), shape(operation, message))
    except msgspec.ValidationError as wrong:
        raise misshapen(operation, message, wrong) from None


def whole(message: Message, payload: Mapping[str, Any]) -> Any:
    """The request, where the payload is all of it; None where something is still to be filled in."""
    try:
        return msgspec.convert(whole_numbers(dict(payload)), message.request)
    except msgspec.ValidationError:
        return None


def misshapen(operation: Operation, message: Message, wrong: Exception) -> Exception:
    """What is wrong with a payload, as an error of ours."""
    return invalid(wrong, f"{operation.name} payload", shape(operation, message), within="payload")


def schema(operation: Operation, message: Message) -> dict[str, Any]:
    """The JSON Schema of what may be asked for, its members explained."""
    asked = shape(operation, message)
    _, components = msgspec.json.schema_components([asked], ref_template="#/$defs/{name}")
    own = components.pop(asked.__name__)
    for member, told in own.get("properties", {}).items():
        if member in operation.help:
            own["properties"][member] = {**told, "description": operation.help[member]}
    return {**own, **({"$defs": components} if components else {})}
