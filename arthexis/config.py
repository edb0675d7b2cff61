"""Configuration: one ``arthexis.toml``, the environment above it, and a checked Struct for each section.

Host sections are [node], [http], [database], [stations], [messages] and [log]; a plugin's is [plugins.<name>].
In the environment a setting is ``ARTHEXIS__SECTION__KEY``, with ``_`` for the dots and dashes of a plugin's name.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import platformdirs
from msgspec import Meta, Struct

from arthexis.errors import ConfigError, NotFound
from arthexis.system import write_private

if TYPE_CHECKING:
    from arthexis.plugins.states import Plugin

FILE = "arthexis.toml"
PREFIX = "ARTHEXIS__"

Seconds = Annotated[float, Meta(ge=0)]
Count = Annotated[int, Meta(ge=1)]


def _doc(text: str, **limits: Any) -> Meta:
    return Meta(description=text, **limits)


class Section(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A section of the file: unknown keys are refused."""


class Node(Section, frozen=True):
    """[node]: what this node is."""

    role: Annotated[str | None, _doc("The node's role; without one, terminal if it is installed, else bare")] = None
    enable: Annotated[list[str], _doc("Plugins beside the role's, as distribution:name")] = []
    disable: Annotated[list[str], _doc("Plugins of the role that are off, as distribution:name")] = []


class Http(Section, frozen=True):
    """[http]: where the node listens."""

    host: Annotated[str, _doc("Address to listen on; 0.0.0.0 is every interface")] = "127.0.0.1"
    port: Annotated[int, _doc("Port for stations, pages and the API; 0 takes a free one", ge=0, le=65535)] = 8888
    trusted_proxies: Annotated[list[str], _doc("Addresses whose X-Forwarded-For is believed")] = []
    longest_wait_s: Annotated[float, _doc("Longest time a request waits for an operation's end", gt=0, le=600)] = 600.0
    longest_stream_s: Annotated[float, _doc("Longest time an event stream stays open; its reader resumes", gt=0)] = (
        3600.0
    )
    public_url: Annotated[str | None, _doc("The URL under which others reach this node, e.g. wss://csms.example")] = (
        None
    )


class DatabaseSettings(Section, frozen=True):
    """[database]: where everything is kept."""

    url: Annotated[str, _doc("SQLite or PostgreSQL URL; empty is arthexis.db in the data folder")] = ""


class Stations(Section, frozen=True):
    """[stations]: how stations are treated; times in seconds."""

    mode: Annotated[Literal["repair", "strict"], _doc("Whether odd frames are mended or refused")] = "repair"
    default_zone: Annotated[str, _doc("IANA zone of timestamps that name none")] = "UTC"
    heartbeat_interval_s: Annotated[int, _doc("Heartbeat interval told to stations", ge=1)] = 300
    ping_interval_s: Annotated[float, _doc("Seconds of silence before a ping; 0 sends none", ge=0)] = 60.0
    call_timeout_s: Annotated[float, _doc("How long a station may take to answer a CALL", gt=0)] = 30.0
    handler_timeout_s: Annotated[float, _doc("How long an action may take before InternalError", gt=0)] = 10.0
    max_frame_bytes: Annotated[int, _doc("The largest frame; a larger one closes the socket (1009)", ge=1024)] = 1 << 20
    frames_per_s: Annotated[float, _doc("Frames a second one station may send before it is slowed down", gt=0)] = 500.0
    frames_burst: Annotated[int, _doc("Frames it may send at once", ge=1)] = 2000
    max_stations: Annotated[int, _doc("Sockets at once", ge=1)] = 20_000
    failed_logins_per_minute: Annotated[int, _doc("Failed logins looked at from one address", ge=1)] = 10
    backlog: Annotated[int, _doc("Connections that may wait to be accepted", ge=1)] = 4096


class Messages(Section, frozen=True):
    """[messages]: the message log."""

    log: Annotated[bool, _doc("Keep every frame; mended frames are kept in any case")] = True
    keep_days: Annotated[int, _doc("Days to keep frames", ge=1)] = 30
    keep_bytes: Annotated[int, _doc("Bytes of frames to keep", ge=1 << 20)] = 1 << 30


class Log(Section, frozen=True):
    """[log]: what the process writes."""

    level: Annotated[Literal["debug", "info", "warning", "error"], _doc("Least level that is written")] = "info"


SECTIONS: dict[str, type[Section]] = {
    "node": Node,
    "http": Http,
    "database": DatabaseSettings,
    "stations": Stations,
    "messages": Messages,
    "log": Log,
}


class Settings(Section, frozen=True):
    """The host's settings, checked."""

    node: Node = Node()
    http: Http = Http()
    database: DatabaseSettings = DatabaseSettings()
    stations: Stations = Stations()
    messages: Messages = Messages()
    log: Log = Log()


@dataclass(slots=True)
class Configuration:
    """The file, the environment, and what a role sets beneath both."""

    path: Path
    file: dict[str, Any] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    role: dict[str, Any] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        """The host's sections; raises ``ConfigError`` with file, path and cure."""
        for name in self.file:
            if name not in SECTIONS and name != "plugins":
                raise self._unknown(name, [*SECTIONS, "plugins"])
        sections = {name: self.section(name, struct) for name, struct in SECTIONS.items()}
        return Settings(**sections)

    def section(self, name: str, struct: type[Struct]) -> Any:
        """One section as its Struct."""
        merged = {**_walk(self.role, name), **_walk(self.file, name), **self._from_environment(name)}
        try:
            return msgspec.convert(merged, struct)
        except msgspec.ValidationError as error:
            raise self._invalid(name, struct, str(error)) from None

    def of_plugin(self, plugin: Plugin, struct: type | None) -> Any:
        """A plugin's settings; None for one that has no settings, which then must have no section."""
        name = f"plugins.{plugin.name}"
        if struct is not None:
            return self.section(name, struct)
        stray = {key for key, value in _walk(self.file, name).items() if not isinstance(value, dict)}
        if stray:
            raise ConfigError("this plugin has no settings", place=f"{self.path}: {name}", cure="Remove the section")
        return None

    def check_plugins(self, plugins: Iterable[Plugin]) -> None:
        """Refuse sections of plugins that are not installed; raises ``ConfigError``."""
        names = {plugin.name for plugin in plugins}
        for name in _leaf_sections(self.file.get("plugins", {})):
            if not any(
                name == known or name.startswith(known + ".") or known.startswith(name + ".") for known in names
            ):
                raise self._unknown(f"plugins.{name}", [f"plugins.{known}" for known in names])

    def get(self, path: str) -> Any:
        """A setting's value in effect; raises ``NotFound``."""
        section, _, key = path.partition(".")
        if section in SECTIONS and key in SECTIONS[section].__struct_fields__:
            return getattr(getattr(self.settings, section), key)
        found: Any = self.file
        for part in path.split("."):
            if not isinstance(found, dict) or part not in found:
                raise NotFound(f"no setting {path}", place=str(self.path), cure="See `arthexis config schema`")
            found = found[part]
        return found

    def explain(self, path: str) -> dict[str, Any]:
        """A setting's value, where it comes from, and what it means."""
        section, _, key = path.rpartition(".")
        struct = SECTIONS.get(section)
        meaning = _descriptions(struct).get(key, "") if struct else ""
        return {"setting": path, "value": self.get(path), "from": self._origin(section, key), "meaning": meaning}

    def _origin(self, section: str, key: str) -> str:
        if key in self._from_environment(section):
            return f"environment {PREFIX}{_shouted(section)}__{key.upper()}"
        if key in _walk(self.file, section):
            return f"{self.path}:{_line(self.path, section, key)}"
        return "role" if key in _walk(self.role, section) else "default"

    def set(self, path: str, value: Any) -> None:
        """Write a setting into the file, comments kept; raises ``ConfigError`` and writes nothing if it is wrong."""
        self.change({path: value})

    def change(self, values: Mapping[str, Any]) -> None:
        """Write several settings at once."""
        import tomlkit

        text = self.path.read_text("utf-8") if self.path.exists() else ""
        document = tomlkit.parse(text)
        for path, value in values.items():
            *tables, key = path.split(".")
            table: Any = document
            for name in tables:
                table = table.setdefault(name, tomlkit.table())
            table[key] = value
        changed = tomlkit.dumps(document)
        _ = Configuration(self.path, tomllib.loads(changed), self.environ, self.role).settings
        write_private(self.path, changed)
        self.file = tomllib.loads(changed)

    def _from_environment(self, section: str) -> dict[str, Any]:
        start = f"{PREFIX}{_shouted(section)}__"
        return {
            name.removeprefix(start).lower(): _value(text)
            for name, text in self.environ.items()
            if name.startswith(start) and "__" not in name.removeprefix(start)
        }

    def _invalid(self, section: str, struct: type[Struct], said: str) -> ConfigError:
        unknown = re.search(r"unknown field `(.+?)`", said)
        if unknown is not None:
            return self._unknown(f"{section}.{unknown[1]}", [f"{section}.{name}" for name in struct.__struct_fields__])
        problem, _, where = said.partition(" - at `$.")
        key = where.rstrip("`")
        fault = problem[:1].lower() + problem[1:]
        return ConfigError(
            fault,
            place=f"{self.path}: {section}.{key}".rstrip("."),
            cure=f"Run: arthexis config explain {section}.{key}",
        )

    def _unknown(self, name: str, known: list[str]) -> ConfigError:
        close = difflib.get_close_matches(name, known, 1)
        cure = f"Did you mean {close[0]}?" if close else "Remove it, or see `arthexis config schema`"
        return ConfigError(f"there is no setting {name}", place=str(self.path), cure=cure)


def load(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Configuration:
    """Read the configuration file, if there is one; raises ``ConfigError``."""
    environ = os.environ if environ is None else environ
    chosen = path or Path(environ.get("ARTHEXIS_CONFIG") or _default(environ))
    if path is not None and not path.exists():
        raise ConfigError("there is no such file", place=str(path), cure="Leave --config out, or create it")
    try:
        file = tomllib.loads(chosen.read_text("utf-8")) if chosen.exists() else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"cannot be read: {error}", place=str(chosen), cure="Mend the file") from None
    return Configuration(chosen, file, environ)


def home(environ: Mapping[str, str] | None = None) -> Path:
    """The data folder: ``ARTHEXIS_HOME``, ``.arthexis`` in a clone, else the user's data folder."""
    environ = os.environ if environ is None else environ
    named = environ.get("ARTHEXIS_HOME")
    if named:
        return Path(named).absolute()
    clone = _clone()
    return clone / ".arthexis" if clone is not None else Path(platformdirs.user_data_dir("arthexis", appauthor=False))


def _default(environ: Mapping[str, str]) -> Path:
    if environ.get("ARTHEXIS_HOME") or _clone() is not None:
        return home(environ) / FILE
    return Path(platformdirs.user_config_dir("arthexis", appauthor=False)) / FILE


def _clone() -> Path | None:
    """The clone that this code runs from, if it does."""
    root = Path(__file__).resolve().parent.parent
    return root if (root / "setup.cfg").exists() and (root / "start.sh").exists() else None


def parse_value(text: str) -> Any:
    """A value as a person types it on a command line: TOML where it is that, else text."""
    return _value(text)


def _value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _walk(table: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The table under a dotted path, also where a plugin's dotted name stands quoted; empty if there is none."""
    head, _, rest = path.partition(".")
    if path in table and isinstance(table[path], dict):
        return dict(table[path])
    inner = table.get(head)
    if not isinstance(inner, dict):
        return {}
    return _walk(inner, rest) if rest else dict(inner)


def _leaf_sections(table: Mapping[str, Any], prefix: str = "") -> Iterable[str]:
    for name, value in table.items():
        if isinstance(value, dict):
            if not value or any(not isinstance(v, dict) for v in value.values()):
                yield prefix + name
            yield from _leaf_sections(value, f"{prefix}{name}.")


def _shouted(section: str) -> str:
    return re.sub(r"[.\-]", "_", section.removeprefix("plugins.")).upper()


def _descriptions(struct: type[Struct]) -> dict[str, str]:
    properties = msgspec.json.schema_components([struct])[1][struct.__name__].get("properties", {})
    return {name: described.get("description", "") for name, described in properties.items()}


def _line(path: Path, section: str, key: str) -> int:
    """The line of a key in the file; 1 if it cannot be told."""
    current = ""
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        header = re.match(r"\s*\[([^\]]+)\]", line)
        if header is not None:
            current = header[1].replace('"', "").strip()
        elif current == section and re.match(rf"\s*{re.escape(key)}\s*=", line):
            return number
    return 1


def schema(plugins: Iterable[tuple[Plugin, type[Struct]]] = ()) -> dict[str, Any]:
    """The JSON Schema of the whole file."""
    structs: dict[str, Any] = {**SECTIONS, **{f"plugins.{plugin.name}": struct for plugin, struct in plugins}}
    components = {name: msgspec.json.schema(struct) for name, struct in structs.items()}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object", "properties": components}
