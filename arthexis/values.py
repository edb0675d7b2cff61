"""Values of settings: secrets that are never printed, text read as its setting's type, and the schema of it all."""

from __future__ import annotations

import hmac
import re
import tomllib
from collections.abc import Mapping
from typing import Any, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta, Struct

STARS = "********"


class Secret:
    """A setting that is never printed: a password, a token, a key. ``reveal()`` is its text, anything else stars."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Keep this text."""
        self._text = text

    def reveal(self) -> str:
        """The text itself, for the one place that needs it."""
        return self._text

    def __str__(self) -> str:
        return STARS if self._text else ""

    __repr__ = __str__

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._text))


def is_zone(name: str) -> bool:
    """Whether an IANA time zone has this name."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def parse_value(text: str) -> Any:
    """A value as a person types it on a command line: TOML where it is that, else text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def typed(text: str, kind: Any) -> Any:
    """A typed text as the value of a setting of this type: what is no TOML of the type is taken as plain text."""
    for value, strict in ((parse_value(text), True), (text, True), (text, False)):
        try:
            converted = msgspec.convert(value, kind, strict=strict, dec_hook=read_secret)
        except msgspec.ValidationError:
            continue
        return value if strict else msgspec.to_builtins(converted)
    return parse_value(text)


def fits(value: Any, kind: Any) -> bool:
    """Whether a value may be a setting of this type."""
    try:
        msgspec.convert(value, kind, dec_hook=read_secret)
    except msgspec.ValidationError:
        return False
    return True


def read_secret(kind: type, value: Any) -> Any:
    """Turn text into a ``Secret``; msgspec asks this for types it does not know."""
    if kind is not Secret:
        raise NotImplementedError(f"a setting cannot be of type {kind.__name__}")
    if not isinstance(value, str):
        raise TypeError("expected text")
    return Secret(value)


def shown(value: Any) -> Any:
    """A value as it may be printed: JSON, secrets as stars, no password in a URL."""
    plain = msgspec.to_builtins(value, enc_hook=str)
    return _starred(plain)


def _starred(value: Any) -> Any:
    if isinstance(value, str):
        return re.sub(r"(?<=://)([^:/@\s]*):[^@/\s]+@", rf"\1:{STARS}@", value)
    if isinstance(value, dict):
        return {key: _starred(inner) for key, inner in value.items()}
    return [_starred(inner) for inner in value] if isinstance(value, list) else value


def kind_of(struct: type[Struct], key: str) -> Any:
    """The type of a setting, as its Struct has it."""
    return next((f.type for f in msgspec.structs.fields(struct) if f.encode_name == key), Any)


def is_secret(kind: Any) -> bool:
    """Whether a setting of this type is a secret."""
    return kind is Secret or Secret in get_args(kind)


def described(struct: type[Struct], key: str) -> dict[str, Any]:
    """A setting's meaning and default."""
    info = next(f for f in msgspec.structs.fields(struct) if f.encode_name == key)
    metas = [m for m in get_args(info.type) if isinstance(m, Meta)]
    meaning = next((m.description for m in metas if m.description), "")
    if info.default is not msgspec.NODEFAULT:
        return {"meaning": meaning, "default": shown(info.default)}
    made = info.default_factory() if info.default_factory is not msgspec.NODEFAULT else "none: it must be given"
    return {"meaning": meaning, "default": shown(made)}


def schema(structs: Mapping[str, type[Struct]]) -> dict[str, Any]:
    """The JSON Schema of the whole file, from its sections by dotted name (``Configuration.structs``)."""
    root: dict[str, Any] = {"type": "object", "properties": {}}
    definitions: dict[str, Any] = {}
    for name in sorted(structs):
        described = msgspec.json.schema(
            _without_secrets(structs[name]), schema_hook=secret_schema, ref_template=f"#/$defs/{name}.{{name}}"
        )
        definitions |= {f"{name}.{inner}": made for inner, made in described.pop("$defs", {}).items()}
        *outer, last = name.split(".")
        inside = root
        for part in outer:
            inside = inside.setdefault("properties", {}).setdefault(part, {"type": "object"})
        inside.setdefault("properties", {})[last] = described
    whole: dict[str, Any] = _starred({"$defs": definitions, **root})
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **whole}


def _without_secrets(struct: type[Struct]) -> type[Struct]:
    """The Struct with stars for the defaults of its secrets, which no schema shall show."""
    info = msgspec.structs.fields(struct)
    if not any(isinstance(f.default, Secret) for f in info):
        return struct
    fields = [
        (f.encode_name, f.type, msgspec.field(default=str(f.default) if isinstance(f.default, Secret) else f.default))
        if f.default_factory is msgspec.NODEFAULT
        else (f.encode_name, f.type, msgspec.field(default_factory=f.default_factory))
        for f in info
    ]
    return msgspec.defstruct(struct.__name__, fields, kw_only=True, forbid_unknown_fields=True)


def secret_schema(kind: type) -> dict[str, Any]:
    """The JSON Schema of a ``Secret``; msgspec asks this for types it does not know."""
    if kind is not Secret:
        raise NotImplementedError(f"a setting cannot be of type {kind.__name__}")
    return {"type": "string", "writeOnly": True}
