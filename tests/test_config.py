"""Settings: where they come from, what is refused and how that is said, and that secrets are never printed."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Annotated, Any

import jsonschema
import msgspec
import pytest
from msgspec import Meta, Struct

from arthexis import Secret
from arthexis.config import SECTIONS, Configuration, load
from arthexis.errors import ConfigError, NotFound
from arthexis.plugins.states import Plugin
from arthexis.values import schema

PLUGIN = """
from typing import Annotated
import msgspec
from arthexis import Config, Secret, hookimpl

class Settings(msgspec.Struct):
    interval_s: Annotated[int, msgspec.Meta(ge=1, description="Seconds between two looks")] = 300
    password: Annotated[Secret, msgspec.Meta(description="Of the price server")] = Secret("changeme")
    url: str = "https://acme:hunter2@prices.example/"

@hookimpl
def register_config():
    yield Config(Settings)
"""


class Price(Struct):
    interval_s: Annotated[int, Meta(ge=1)] = 300
    password: Secret = Secret("")
    name: str = ""


def read(tmp_path: Path, text: str = "", **environ: str) -> Configuration:
    path = tmp_path / "arthexis.toml"
    path.write_text(text, "utf-8")
    return load(path, environ)


def fault(configuration: Configuration) -> tuple[str, str, str]:
    with pytest.raises(ConfigError) as found:
        _ = configuration.settings
    return found.value.place, found.value.problem, found.value.cure


@pytest.mark.parametrize(
    ("text", "place", "problem", "cure"),
    [
        ("[htpp]\nport = 1\n", "", "there is no setting htpp", "Did you mean http?"),
        ("[http]\n\nprot = 1\n", ":3", "there is no setting http.prot", "Did you mean http.port?"),
        ("[http]\nport = 'x'\n", ":2: http.port", "expected `int`, got 'x'", "the default is 8888"),
        ("[http]\nport = 70000\n", ":2: http.port", "expected `int` <= 65535", "the default is 8888"),
        ("http.port = -1\n", ":1: http.port", "expected `int` >= 0", "the default is 8888"),
        ("[stations]\nmode = 'lax'\n", ":2: stations.mode", "invalid enum value 'lax'", "the default is repair"),
        (
            "[stations]\ndefault_zone = 'Mars/X'\n",
            ":2: stations.default_zone",
            "no time zone 'Mars/X'",
            "Europe/Berlin",
        ),
        ("[stations]\ndefault_zone = '/etc'\n", ":2: stations.default_zone", "no time zone '/etc'", "Europe/Berlin"),
        ("[node]\nenable = ['a:b', 3]\n", ":2: node.enable[1]", "expected `str`, got `int`", "distribution:name"),
        ("http = 3\n", ": http", "is no section", "Write [http] above its keys"),
        ("plugins = 3\n", ": plugins", "is no section", "Write [plugins] above its keys"),
        ("[http]\npublic_url = 'csms.example'\n", ":2: http.public_url", "matching regex", "wss://csms.example"),
    ],
)
def test_a_wrong_setting_is_said_with_its_place_and_its_cure(
    tmp_path: Path, text: str, place: str, problem: str, cure: str
) -> None:
    found = fault(read(tmp_path, text))
    assert found[0] == f"{tmp_path / 'arthexis.toml'}{place}"
    assert problem in found[1]
    assert cure in found[2]


@pytest.mark.parametrize("text", [b"[http\n", b"port = \n", b"\xff\xfe", b"[http]\nport = 1\nport = 2\n"])
def test_a_file_that_is_no_toml_is_said_with_its_line(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "arthexis.toml"
    path.write_bytes(text)
    with pytest.raises(ConfigError, match="cannot be read") as found:
        load(path)
    assert found.value.place == str(path)
    assert text.startswith(b"\xff") or "line" in found.value.problem


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "arthexis.toml").write_bytes(b"\xef\xbb\xbf[http]\nport = 1\n")
    assert load(tmp_path / "arthexis.toml", {}).settings.http.port == 1


def test_the_environment_stands_above_the_file_and_the_file_above_the_role(tmp_path: Path) -> None:
    found = read(tmp_path, "[http]\nport = 2\n[log]\nlevel = 'error'\n", ARTHEXIS__HTTP__PORT="3")
    found.role = {"http": {"port": 1, "host": "127.0.0.9"}, "log": {"level": "debug"}}
    settings = found.settings
    assert (settings.http.port, settings.http.host, settings.log.level) == (3, "127.0.0.9", "error")
    assert [found.explain(path)["from"] for path in ("http.port", "http.host", "log.level", "node.role")] == [
        "environment ARTHEXIS__HTTP__PORT",
        "role",
        f"{tmp_path / 'arthexis.toml'}:4",
        "default",
    ]


def test_an_environment_value_that_is_wrong_names_its_variable(tmp_path: Path) -> None:
    place, problem, _ = fault(read(tmp_path, ARTHEXIS__HTTP__PORT="many"))
    assert (place, problem) == ("environment ARTHEXIS__HTTP__PORT", "expected `int`, got 'many'")


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("HTTP__PORT", "77", 77),
        ("DATABASE__URL", "12345", "12345"),
        ("HTTP__TRUSTED_PROXIES", '["10.0.0.1"]', ["10.0.0.1"]),
        ("MESSAGES__LOG", "false", False),
        ("STATIONS__PING_INTERVAL_S", "5", 5.0),
        ("NODE__ROLE", "true", "true"),
    ],
)
def test_an_environment_value_is_read_as_its_settings_type(tmp_path: Path, name: str, text: str, value: Any) -> None:
    section, key = name.lower().split("__")
    settings = read(tmp_path, **{f"ARTHEXIS__{name}": text}).settings
    assert getattr(getattr(settings, section), key) == value


def test_a_variable_for_nothing_and_a_section_for_nothing_are_noticed(tmp_path: Path) -> None:
    found = read(
        tmp_path, "[plugins.acne]\nx = 1\n", ARTHEXIS__HTPP__PORT="1", ARTHEXIS__ACME__X="1", ARTHEXIS__QQQQQQQQQQQQ="1"
    )
    notices = {(n.reason, n.cure) for n in found.notices([Plugin("acme", "acme", "1", "acme")])}
    assert notices == {
        (f"{found.path}: plugins.acne is for no installed plugin", "Did you mean acme?"),
        ("environment: ARTHEXIS__HTPP__PORT is for nothing", "Did you mean ARTHEXIS__HTTP__PORT?"),
        ("environment: ARTHEXIS__QQQQQQQQQQQQ is for nothing", "Unset it"),
    }


def test_the_file_is_the_options_then_the_environments_then_the_folders(tmp_path: Path) -> None:
    for name in ("option", "variable", "home/arthexis"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}.toml").write_text(f"[log]\nlevel = '{'info' if name == 'option' else 'error'}'\n")
    environ = {"ARTHEXIS_HOME": str(tmp_path / "home")}
    assert load(None, environ).path == tmp_path / "home/arthexis.toml"
    environ["ARTHEXIS_CONFIG"] = str(tmp_path / "variable.toml")
    assert load(None, environ).path == tmp_path / "variable.toml"
    assert load(tmp_path / "option.toml", environ).path == tmp_path / "option.toml"
    for path, env in ((tmp_path / "no.toml", {}), (None, {"ARTHEXIS_CONFIG": str(tmp_path / "no.toml")})):
        with pytest.raises(ConfigError, match="there is no such file"):
            load(path, env)


# ---------------------------------------------------------------------- plugins' sections


@pytest.mark.parametrize("header", ["[plugins.acme.price]", '[plugins."acme.price"]', '["plugins"."acme"."price"]'])
def test_a_plugins_dotted_name_may_be_quoted_or_not(tmp_path: Path, header: str) -> None:
    found = read(tmp_path, f"{header}\ninterval_s = 7\n")
    plugin = Plugin("acme.price", "acme", "1", "x")
    assert found.of_plugin(plugin, Price).interval_s == 7
    found.set("plugins.acme.price.interval_s", "9")
    assert read_again(found).of_plugin(plugin, Price).interval_s == 9


def test_a_plugin_whose_name_goes_on_has_a_section_of_its_own(tmp_path: Path) -> None:
    found = read(tmp_path, "[plugins.acme]\ninterval_s = 1\n[plugins.acme.price]\ninterval_s = 2\n")
    assert found.of_plugin(Plugin("acme", "acme", "1", "x"), Price).interval_s == 1
    assert found.of_plugin(Plugin("acme.price", "acme", "1", "x"), Price).interval_s == 2


def test_unknown_keys_are_refused_even_where_the_struct_would_take_them(tmp_path: Path) -> None:
    found = read(tmp_path, "[plugins.acme]\nintervall_s = 1\n")
    with pytest.raises(ConfigError, match=r"no setting plugins\.acme\.intervall_s") as refused:
        found.of_plugin(Plugin("acme", "acme", "1", "x"), Price)
    assert refused.value.cure == "Did you mean plugins.acme.interval_s?"


@pytest.mark.parametrize("name", ["acme", "acme.price", "acme-price"])
def test_the_environment_reaches_a_plugin(tmp_path: Path, name: str) -> None:
    shouted = name.upper().replace(".", "_").replace("-", "_")
    found = read(tmp_path, **{f"ARTHEXIS__{shouted}__INTERVAL_S": "8", f"ARTHEXIS__{shouted}__NAME": "1.5"})
    settings = found.of_plugin(Plugin(name, "acme", "1", "x"), Price)
    assert (settings.interval_s, settings.name) == (8, "1.5")


# ---------------------------------------------------------------------- set


def read_again(found: Configuration) -> Configuration:
    return load(found.path, {})


def test_set_keeps_comments_order_and_everything_else(tmp_path: Path) -> None:
    text = "# mine\n[http] # listen\nport = 1 # old\n\n[log]\nlevel = 'info'\n"
    found = read(tmp_path, text)
    found.set("http.port", "2")
    assert found.path.read_text("utf-8") == text.replace("port = 1", "port = 2")


@pytest.mark.parametrize(
    ("path", "value"),
    [("http.port", "x"), ("http.port", "70000"), ("stations.default_zone", "Mars"), ("log.level", "loud")],
)
def test_set_of_a_wrong_value_writes_nothing(tmp_path: Path, path: str, value: str) -> None:
    found = read(tmp_path, "# mine\n")
    with pytest.raises(ConfigError):
        found.set(path, value)
    assert found.path.read_text("utf-8") == "# mine\n"


@pytest.mark.parametrize("path", ["htpp.port", "http.prot", "plugins.acme.x", "nothing"])
def test_set_of_an_unknown_setting_writes_nothing(tmp_path: Path, path: str) -> None:
    found = read(tmp_path, "")
    with pytest.raises(NotFound):
        found.set(path, "1")
    assert found.path.read_text("utf-8") == ""


def test_two_wrong_settings_can_be_mended_one_after_the_other(tmp_path: Path) -> None:
    found = read(tmp_path, "[http]\nport = 'x'\n[log]\nlevel = 'loud'\n")
    found.set("http.port", "1")
    found.set("log.level", "info")
    assert read_again(found).settings.http.port == 1


def test_set_keeps_mode_and_link_of_the_file(tmp_path: Path) -> None:
    real = tmp_path / "real.toml"
    real.write_text("")
    real.chmod(0o644)
    (tmp_path / "arthexis.toml").symlink_to(real)
    load(tmp_path / "arthexis.toml", {}).set("http.port", "5")
    assert real.stat().st_mode & 0o777 == 0o644
    assert tomllib.loads(real.read_text())["http"]["port"] == 5


# ---------------------------------------------------------------------- secrets and the schema


def test_a_secret_is_stars_wherever_it_is_printed(tmp_path: Path) -> None:
    found = read(tmp_path, "[plugins.acme]\npassword = 'hunter2'\n[database]\nurl = 'postgresql://a:hunter2@h/d'\n")
    settings = found.of_plugin(Plugin("acme", "acme", "1", "x"), Price)
    assert settings.password.reveal() == "hunter2"
    printed = [repr(settings), str(settings.password), f"{settings.password:>3}", repr([settings.password])]
    printed += [json.dumps(found.get(path)) for path in ("plugins.acme", "plugins.acme.password", "database.url")]
    printed += [str(found.explain(path)) for path in ("plugins.acme.password", "database.url")]
    assert not [text for text in printed if "hunter2" in text]
    assert found.get("database.url") == "postgresql://a:********@h/d"
    assert (Secret("a") == Secret("a"), Secret("a") == Secret("b"), bool(Secret(""))) == (True, False, False)


def test_a_wrong_secret_is_not_told_either(tmp_path: Path) -> None:
    found = read(tmp_path, "[plugins.acme]\npassword = 4711\n")
    with pytest.raises(ConfigError) as refused:
        found.of_plugin(Plugin("acme", "acme", "1", "x"), Price)
    assert "4711" not in str(refused.value)
    assert refused.value.place.endswith("arthexis.toml:2: plugins.acme.password")


def test_the_schema_takes_good_files_and_refuses_bad_ones() -> None:
    found = schema({**SECTIONS, "plugins.acme.price": Price})
    jsonschema.Draft202012Validator.check_schema(found)
    good = {"http": {"port": 1}, "plugins": {"acme": {"price": {"interval_s": 5, "password": "x"}}}}
    jsonschema.validate(good, found)
    for bad in ({"http": {"port": "x"}}, {"http": {"prot": 1}}, {"plugins": {"acme": {"price": {"interval_s": 0}}}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(bad, found)


def test_the_schema_says_what_everything_means() -> None:
    found = schema(SECTIONS)
    for name in SECTIONS:
        reference = found["properties"][name]["$ref"].removeprefix("#/$defs/")
        for key, described in found["$defs"][reference]["properties"].items():
            assert described.get("description"), f"{name}.{key}"


def test_commands_know_the_settings_of_plugins(site: Any, arthexis: Any) -> None:
    acme = site.add(PLUGIN, "acme.price")
    arthexis.write("[node]\nenable = ['acme.price:acme.price']\n# mine\n[plugins.acme.price]\npassword = 'hunter2'\n")
    assert acme == "acme-price:acme.price"
    assert arthexis("config", "get", "plugins.acme.price.interval_s").out == "300\n"
    explained = arthexis("config", "explain", "plugins.acme.price.interval_s", "--json").json
    assert explained["meaning"] == "Seconds between two looks"
    wrong = arthexis("config", "set", "plugins.acme.price.interval_s", "0", "--json")
    assert (wrong.status, wrong.error["code"]) == (3, "config")
    done = arthexis("config", "set", "plugins.acme.price.interval_s", "9")
    assert (done.status, str(arthexis.file) in done.out, "at the next start" in done.out) == (0, True, True)
    assert arthexis("config", "get", "plugins.acme.price", "--json").json == {
        "interval_s": 9,
        "password": "********",
        "url": "https://acme:********@prices.example/",
    }
    printed = [arthexis("config", *words) for words in (["schema"], ["explain", "plugins.acme.price.password"])]
    for ended in printed:
        assert ended.status == 0
        assert not {"hunter2", "changeme"} & set(msgspec.json.encode(ended.out).decode().split('"'))
        assert "hunter2" not in ended.out + ended.err
        assert "changeme" not in ended.out + ended.err


def test_a_setting_of_a_plugin_that_is_off_says_how_to_turn_it_on(site: Any, arthexis: Any) -> None:
    site.add(PLUGIN, "acme.price")
    refused = arthexis("config", "set", "plugins.acme.price.interval_s", "9", "--json")
    assert refused.error["problem"] == "the settings of acme.price are not known: it is installed and not turned on"
    assert refused.error["cure"] == "Run: arthexis plugins enable acme-price:acme.price"


def test_a_wrong_member_of_a_list_of_tables_is_said_with_the_line_of_the_list(tmp_path: Path) -> None:
    file = tmp_path / "arthexis.toml"
    file.write_text("[http]\nport = 1\n\n[[plugins.acme.readers]]\nname = 'desk'\n", "utf-8")
    assert load(file).place("plugins.acme", "readers") == f"{file}:4: plugins.acme.readers"
