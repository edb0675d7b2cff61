"""Configuration: one ``arthexis.toml``, the environment above it, and a checked Struct for each section.

Host sections are [node], [http], [database], [stations], [messages] and [log]; a plugin's is [plugins.<name>].
In the environment a setting is ``ARTHEXIS__SECTION__KEY``, with ``_`` for the dots and dashes of a plugin's name.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import platformdirs
from msgspec import Meta, Struct

from arthexis.errors import ConfigError, NotFound
from arthexis.system import rewrite
from arthexis.values import described, fits, is_secret, is_zone, kind_of, parse_value, read_secret, shown, typed

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
    enable: Annotated[
        list[str], _doc("Plugins beside the role's, as distribution:name, or pinned: distribution:name==1.2")
    ] = []
    disable: Annotated[list[str], _doc("Plugins of the role that are off, as distribution:name")] = []
    plugin_timeout_s: Annotated[float, _doc("How long a plugin's import, its start or its end may take", gt=0)] = 10.0
    suspend_after: Annotated[int, _doc("Faults after which a plugin's hook is suspended; 0 never suspends", ge=0)] = 5
    suspend_within_s: Annotated[float, _doc("Seconds within which these faults count", gt=0)] = 60.0
    suspend_s: Annotated[float, _doc("Seconds of the first suspension; each further one is twice as long", gt=0)] = 30.0


class Http(Section, frozen=True):
    """[http]: where the node listens."""

    host: Annotated[str, _doc("Address to listen on; 0.0.0.0 is every interface")] = "127.0.0.1"
    port: Annotated[int, _doc("Port for stations, pages and the API; 0 takes a free one", ge=0, le=65535)] = 8888
    trusted_proxies: Annotated[list[str], _doc("Addresses whose X-Forwarded-For is believed")] = []
    longest_wait_s: Annotated[float, _doc("Longest time a request waits for an operation's end", gt=0, le=600)] = 600.0
    longest_stream_s: Annotated[float, _doc("Longest time an event stream stays open; its reader resumes", gt=0)] = (
        3600.0
    )
    public_url: Annotated[
        Annotated[str, Meta(pattern="^(ws|http)s?://[^/]")] | None,
        _doc("The URL under which others reach this node, e.g. wss://csms.example"),
    ] = None


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
    send_timeout_s: Annotated[float, _doc("How long a station may leave what it is sent unread (1013)", gt=0)] = 30.0
    max_frame_bytes: Annotated[int, _doc("The largest frame; a larger one closes the socket (1009)", ge=1024)] = 1 << 20
    frames_per_s: Annotated[float, _doc("Frames a second one station may send before it is slowed down", gt=0)] = 500.0
    frames_burst: Annotated[int, _doc("Frames it may send at once", ge=1)] = 2000
    max_stations: Annotated[int, _doc("Sockets at once", ge=1)] = 20_000
    failed_logins_per_minute: Annotated[
        int, _doc("Failed logins looked at for one station from one address; ten times as many for either", ge=1)
    ] = 10
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


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that does not keep the node from running and that nobody should miss."""

    reason: str
    cure: str


@dataclass(slots=True)
class Configuration:
    """The file, the environment, and what a role sets beneath both. ``structs``: every section that is known."""

    path: Path
    file: dict[str, Any] = field(default_factory=dict)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    role: dict[str, Any] = field(default_factory=dict)
    structs: dict[str, type[Struct]] = field(default_factory=lambda: dict(SECTIONS))

    @property
    def settings(self) -> Settings:
        """The host's sections; raises ``ConfigError`` with file, path and cure."""
        for name, value in self.file.items():
            if name not in SECTIONS and name != "plugins":
                raise self._unknown(name, [*SECTIONS, "plugins"])
            if not isinstance(value, dict):
                raise ConfigError("is no section", place=f"{self.path}: {name}", cure=f"Write [{name}] above its keys")
        settings = Settings(**{name: self.section(name, struct) for name, struct in SECTIONS.items()})
        if not is_zone(settings.stations.default_zone):
            said = f"there is no time zone {settings.stations.default_zone!r}"
            raise ConfigError(
                said, place=self.place("stations", "default_zone"), cure="Use an IANA name: Europe/Berlin"
            )
        return settings

    def section(self, name: str, struct: type[Struct]) -> Any:
        """One section as its Struct."""
        merged = self._merged(name, struct)
        for key in merged:
            if key not in struct.__struct_encode_fields__:
                raise self._unknown(
                    f"{name}.{key}", [f"{name}.{k}" for k in struct.__struct_encode_fields__], name, key
                )
        lacking = [f.encode_name for f in msgspec.structs.fields(struct) if f.required and f.encode_name not in merged]
        if lacking:
            raise self._lacking(name, lacking)
        try:
            return msgspec.convert(merged, struct, dec_hook=read_secret)
        except msgspec.ValidationError as error:
            raise self._invalid(name, struct, str(error), merged) from None

    def _merged(self, name: str, struct: type[Struct]) -> dict[str, Any]:
        """What role, file and environment say of a section, without the sections of plugins whose names go on."""
        known = set(struct.__struct_encode_fields__)
        written = {
            key: value
            for key, value in {**_walk(self.role, name), **_walk(self.file, name)}.items()
            if key in known or not (isinstance(value, dict) and name.startswith("plugins."))
        }
        return {**written, **self._from_environment(name, struct)}

    def is_written(self, name: str) -> bool:
        """Whether file or environment say anything in a section; what a role sets is nobody's wish for this machine."""
        struct = self.structs.get(name)
        return bool(_walk(self.file, name)) or (struct is not None and bool(self._from_environment(name, struct)))

    def of_plugin(self, plugin: Plugin, struct: type[Struct] | None) -> Any:
        """A plugin's settings; None for one that has no settings, which then must have no section."""
        name = f"plugins.{plugin.name}"
        if struct is not None:
            self.structs[name] = struct
            plugin.configured = self.is_written(name)
            return self.section(name, struct)
        stray = {key for key, value in _walk(self.file, name).items() if not isinstance(value, dict)}
        if stray:
            raise ConfigError("this plugin has no settings", place=f"{self.path}: {name}", cure="Remove the section")
        return None

    def notices(self, plugins: Iterable[Plugin]) -> list[Notice]:
        """Settings that nothing reads, because what they are for is not installed or is misspelt."""
        names = sorted({plugin.name for plugin in plugins})
        plugin_table = self.file.get("plugins", {})
        strange = [
            Notice(f"{self.path}: plugins.{name} is for no installed plugin", _meant(name, names, "remove the section"))
            for name in _leaf_sections(plugin_table)
            if not any(_within(name, known) or known.startswith(name + ".") for known in names)
        ]
        sections = [_shouted(section) for section in (*SECTIONS, *names)]
        for name in sorted(n for n in self.environ if n.startswith(PREFIX)):
            section, _, key = name.removeprefix(PREFIX).partition("__")
            if section not in sections or not key or "__" in key:
                whole = [f"{PREFIX}{s}__{key or 'KEY'}" for s in sections]
                strange.append(Notice(f"environment: {name} is for nothing", _meant(name, whole, "unset it")))
        return strange

    # ------------------------------------------------------------------ what commands ask

    def split(self, path: str) -> tuple[str, str]:
        """The section and the key of a dotted path (an empty key for a whole section); raises ``NotFound``."""
        for section in sorted(self.structs, key=len, reverse=True):
            key = path.removeprefix(section + ".")
            if path == section or (key != path and key.partition(".")[0] in self._fields(section)):
                return section, "" if path == section else key
        known = [*self.structs, *(f"{section}.{key}" for section in self.structs for key in self._fields(section))]
        raise NotFound(
            f"no setting {path}", place=str(self.path), cure=_meant(path, known, "see `arthexis config schema`")
        )

    def _fields(self, section: str) -> tuple[str, ...]:
        return self.structs[section].__struct_encode_fields__

    def get(self, path: str) -> Any:
        """A setting's value in effect (or a whole section's), as JSON shows it and without secrets."""
        section, key = self.split(path)
        found: Any = shown(self.section(section, self.structs[section]))
        for part in key.split(".") if key else ():
            if not isinstance(found, dict) or part not in found:
                raise NotFound(f"no setting {path}", place=str(self.path), cure=f"See `arthexis config get {section}`")
            found = found[part]
        return found

    def explain(self, path: str) -> dict[str, Any]:
        """A setting's value, where it comes from, what it means, its default and, where it is wrong, why.

        For a section: ``section``, and in ``settings`` the same for each of its settings.
        """
        section, key = self.split(path)
        if not key:
            return {"section": path, "settings": [self.explain(f"{path}.{key}") for key in self._fields(section)]}
        name = key.partition(".")[0]
        origin = self.place(section, name, bare=True)
        told = {"setting": path, "value": None, "from": origin, **described(self.structs[section], name)}
        try:
            return {**told, "value": self.get(path)}
        except ConfigError as error:
            return {**told, "problem": str(error)}

    def place(self, section: str, key: str, *, bare: bool = False) -> str:
        """Where a setting's value comes from; with its path unless ``bare``."""
        where = self._origin(section, key)
        return where if bare or where.startswith("environment") else f"{where}: {section}.{key}"

    def _origin(self, section: str, key: str) -> str:
        for name in self.environ:
            if name.upper() == f"{PREFIX}{_shouted(section)}__{key.upper()}":
                return f"environment {name}"
        if key in _walk(self.file, section):
            return f"{self.path}:{_line(self.path, section, key)}"
        return "role" if key in _walk(self.role, section) else "default"

    # ------------------------------------------------------------------ changing the file

    def set(self, path: str, text: str) -> str:
        """Write a setting as a person types it; where the value comes from now. Nothing is written if it is wrong."""
        section, key = self.split(path)
        if not key:
            raise ConfigError(
                "is a section", place=path, cure=f"Name one of its settings: {', '.join(self._fields(section))}"
            )
        name, _, rest = key.partition(".")
        value = parse_value(text) if rest else typed(text, kind_of(self.structs[section], name))
        self.change({path: value})
        return self.place(section, name, bare=True)

    def change(self, values: Mapping[str, Any]) -> None:
        """Write several settings at once, comments kept; raises ``ConfigError`` and writes nothing if one is wrong."""
        import tomlkit

        text = self.path.read_text("utf-8") if self.path.exists() else ""
        document = tomlkit.parse(text)
        touched = [self.split(path) for path in values]
        for (section, key), value in zip(touched, values.values(), strict=True):
            *inner, last = key.split(".")
            table = _table(document, [*section.split("."), *inner], f"{self.path}: {section}")
            table[last] = value
        changed = tomlkit.dumps(document)
        after = replace(self, file=tomllib.loads(changed))
        for section, key in touched:
            after._check(section, key, self)
        rewrite(self.path, changed)
        self.file = after.file

    def _check(self, section: str, key: str, before: Configuration) -> None:
        """Refuse a changed section; one that was wrong before may stay so, if only the changed value is right."""
        struct = self.structs[section]
        name = key.partition(".")[0]
        try:
            self.section(section, struct)
            if section == "stations":
                _ = self.settings if name == "default_zone" else None
        except ConfigError as error:
            if before._sound(section) or not fits(_walk(self.file, section)[name], kind_of(struct, name)):
                raise error from None

    def _sound(self, section: str) -> bool:
        try:
            self.section(section, self.structs[section])
        except ConfigError:
            return False
        return True

    # ------------------------------------------------------------------ errors

    def _from_environment(self, section: str, struct: type[Struct]) -> dict[str, Any]:
        start = f"{PREFIX}{_shouted(section)}__"
        spelling = {key.upper(): key for key in struct.__struct_encode_fields__}
        found: dict[str, Any] = {}
        for name, text in self.environ.items():
            shouted = name.removeprefix(start).upper()
            if name.startswith(start) and "__" not in shouted:
                key = spelling.get(shouted, shouted.lower())
                found[key] = typed(text, kind_of(struct, key)) if shouted in spelling else text
        return found

    def _lacking(self, section: str, keys: list[str]) -> ConfigError:
        """Settings that have no default and are not set; where they are several, no single one can be set."""
        named = " and ".join(f"{section}.{key}" for key in keys)
        said = f"{named} {'is' if len(keys) == 1 else 'are'} not set, and there is no default"
        cure = f"Run: arthexis config set {named} VALUE"
        if len(keys) > 1:
            cure = f"Write [{section}] into {self.path}, and below it {' and '.join(f'{key} = …' for key in keys)}"
        return ConfigError(said, place=f"{self.path}: {section}", cure=cure)

    def _invalid(self, section: str, struct: type[Struct], said: str, merged: Mapping[str, Any]) -> ConfigError:
        problem, _, where = said.partition(" - at `$.")
        path = where.rstrip("`")
        key = re.split(r"[.\[]", path)[0]
        if key == path and key in merged and ", got `" in problem and not is_secret(kind_of(struct, key)):
            problem = f"{problem.partition(', got `')[0]}, got {shown(merged[key])!r}"[:200]
        problem = problem[:1].lower() + problem[1:]
        if not key:
            return ConfigError(problem, place=f"{self.path}: {section}", cure=f"Mend [{section}], or leave it out")
        meant = described(struct, key)
        cure = f"{meant['meaning'] or section + '.' + key}; the default is {meant['default']}"
        return ConfigError(problem, place=self.place(section, key) + path.removeprefix(key), cure=cure)

    def _unknown(self, name: str, known: list[str], section: str = "", key: str = "") -> ConfigError:
        place = self.place(section, key, bare=True) if key else str(self.path)
        cure = _meant(name, known, "remove it, or see `arthexis config schema`")
        return ConfigError(f"there is no setting {name}", place=place, cure=cure)


def load(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Configuration:
    """Read the configuration file, if there is one; raises ``ConfigError``."""
    environ = os.environ if environ is None else environ
    named = path or (Path(environ["ARTHEXIS_CONFIG"]) if environ.get("ARTHEXIS_CONFIG") else None)
    chosen = named or _default(environ)
    try:
        if named is not None and not named.exists():
            how = "--config" if path is not None else "ARTHEXIS_CONFIG"
            raise ConfigError("there is no such file", place=str(named), cure=f"Leave {how} out, or create the file")
        file = tomllib.loads(chosen.read_text("utf-8-sig")) if chosen.exists() else {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        said = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise ConfigError(f"cannot be read: {said}", place=str(chosen), cure="Mend the file") from None
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


# ---------------------------------------------------------------------- tables and names


def _walk(table: Mapping[str, Any], path: str) -> dict[str, Any]:
    """The table under a dotted path, also where a plugin's dotted name stands quoted; empty if there is none."""
    head, _, rest = path.partition(".")
    if path in table and isinstance(table[path], dict):
        return dict(table[path])
    inner = table.get(head)
    if not isinstance(inner, dict):
        return {}
    return _walk(inner, rest) if rest else dict(inner)


def _table(document: Any, parts: list[str], place: str) -> Any:
    """The table under these names, made where it is not there; a plugin's dotted name may stand quoted."""
    import tomlkit

    table = document
    while parts:
        quoted = next((n for n in range(len(parts), 1, -1) if ".".join(parts[:n]) in table), 1)
        name, parts = ".".join(parts[:quoted]), parts[quoted:]
        table = table.setdefault(name, tomlkit.table())
        if not isinstance(table, MutableMapping):
            raise ConfigError(f"{name} is no section", place=place, cure=f"Write [{name}] above its keys")
    return table


def _leaf_sections(table: Any, prefix: str = "") -> Iterable[str]:
    for name, value in table.items() if isinstance(table, dict) else ():
        if not isinstance(value, dict):
            continue
        if not value or any(not isinstance(v, dict) for v in value.values()):
            yield prefix + name
        yield from _leaf_sections(value, f"{prefix}{name}.")


def _within(name: str, known: str) -> bool:
    return name == known or name.startswith(known + ".")


def _shouted(section: str) -> str:
    return re.sub(r"[.\-]", "_", section.removeprefix("plugins.")).upper()


def _meant(name: str, known: Iterable[str], otherwise: str) -> str:
    """The cure for a name that is not known: the closest one, else what to do without."""
    close = difflib.get_close_matches(name, list(known), 1)
    return f"Did you mean {close[0]}?" if close else otherwise[:1].upper() + otherwise[1:]


def _line(path: Path, section: str, key: str) -> int:
    """The line of a key in the file, or of the first table that it heads; 1 if it cannot be told."""
    current, whole = "", f"{section}.{key}"
    for number, line in enumerate(path.read_text("utf-8").splitlines() if path.exists() else (), 1):
        header = re.match(r"\s*\[\[?([^\[\]]+)\]", line)
        if header is not None:
            current = header[1].replace('"', "").strip()
            if current == whole:
                return number
            continue
        name = whole.removeprefix(f"{current}.") if current else whole
        if re.match(rf"""\s*["']?{re.escape(name)}["']?\s*=""", line):
            return number
    return 1
