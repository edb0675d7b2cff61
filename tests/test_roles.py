"""Roles: files that name plugins, read without importing anything; an unusable one hurts only who uses it."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from arthexis import roles
from arthexis.config import Configuration, Node
from arthexis.errors import ConfigError, NotFound


@pytest.fixture
def install(site: Any) -> Any:
    """Install roles from a third party: ``install("acme-roles", big="summary = ...")``."""

    def do(distribution: str = "acme-roles", **files: str) -> None:
        package = distribution.replace("-", "_")
        texts = {f"{package}/{name}.toml": textwrap.dedent(text) for name, text in files.items()}
        site.add(
            "",
            package,
            distribution=distribution,
            group="arthexis.roles",
            entries={name: f"{package}:{name}" for name in files},
            files={f"{package}/__init__.py": "raise SystemExit('imported')", **texts},
        )

    return do


def line(name: str) -> list[roles.Role]:
    installed = roles.installed()
    return roles.lineage(roles.chosen(Node(role=name), installed), installed)


def test_a_role_of_a_third_party_is_read_and_nothing_is_imported(install: Any) -> None:
    install(big="summary = 'Big'\nextends = 'terminal'\nplugins = ['acme:*']\nrequired = ['Acme:money']\n")
    found = line("big")
    assert [role.name for role in found] == ["terminal", "big"]
    chosen = roles.selection(found, Node(enable=["other:x"], disable=["acme:y"]))
    assert "arthexis-ocpp16:*" in chosen.plugins
    assert chosen.plugins[-4:] == ("acme:*", "arthexis-ocpp16:ocpp16.protocol", "acme:money", "other:x")
    assert (chosen.required, chosen.disabled) == (("arthexis-ocpp16:ocpp16.protocol", "acme:money"), ("acme:y",))
    assert not {"acme_roles", "arthexis_roles"} & sys.modules.keys()


def test_a_required_plugin_that_the_operator_turns_off_is_not_required(install: Any) -> None:
    install(big="summary = 'Big'\nrequired = ['acme:money']\n")
    assert roles.selection(line("big"), Node(disable=["acme:money"])).required == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("summary = 3\n", "Expected `str`"),
        ("sumary = 'x'\n", "unknown field `sumary`"),
        ("plugins = []\n", "required field `summary`"),
        ("summary = 'x'\nname = 'other'\n", "name is not written in the file"),
        ("summary = \n", "Invalid value"),
        ("summary = 'x'\n[config]\nhttp = 3\n", "Expected `object`"),
    ],
)
def test_an_unusable_role_hurts_only_who_uses_it(install: Any, text: str, said: str) -> None:
    install(bad=text)
    installed = roles.installed()
    assert said in installed["bad"].problem
    assert [role.name for role in line("terminal")] == ["terminal"]
    with pytest.raises(ConfigError, match="role bad of acme-roles") as refused:
        line("bad")
    assert refused.value.cure


def test_a_role_that_two_packages_bring_is_said_with_both(install: Any) -> None:
    install("acme-roles", big="summary = 'A'\n")
    install("other-roles", big="summary = 'B'\n")
    with pytest.raises(ConfigError) as refused:
        line("big")
    assert "it comes from acme-roles and other-roles" in refused.value.problem
    assert "arthexis roles use acme-roles:big" in refused.value.problem
    assert [role.summary for name in ("acme-roles:big", "other-roles:big") for role in line(name)] == ["A", "B"]


def test_a_role_that_a_stranger_brings_too_changes_nothing_for_who_chose_none(install: Any) -> None:
    install("stranger", terminal="summary = 'Evil'\nplugins = ['stranger:*']\n", control="summary = 'Evil'\n")
    installed = roles.installed()
    found = roles.chosen(Node(), installed)
    assert (found.name, found.source) == ("arthexis-roles:terminal", "arthexis-roles")
    assert [role.source for role in line("arthexis-roles:control")] == ["arthexis-roles"] * len(
        line("arthexis-roles:control")
    )


def test_a_role_may_be_named_with_its_distribution(install: Any) -> None:
    install(big="summary = 'Big'\n")
    assert [role.name for role in line("acme-roles:big")] == ["big"]
    with pytest.raises(NotFound, match="no role other:big"):
        line("other:big")


def test_a_circle_is_said_with_its_whole_way(install: Any) -> None:
    install(a="summary='a'\nextends='b'\n", b="summary='b'\nextends='c'\n", c="summary='c'\nextends='a'\n")
    with pytest.raises(ConfigError, match="role a extends itself: a → b → c → a"):
        line("a")


def test_a_gap_is_said_with_its_name(install: Any) -> None:
    install(a="summary='a'\nextends='nobody'\n")
    with pytest.raises(ConfigError, match="extends nobody, which is not installed") as refused:
        line("a")
    assert refused.value.cure == "Install the package that brings nobody, or use another role"


def test_a_role_that_is_not_there_is_said_with_those_that_are() -> None:
    with pytest.raises(NotFound, match="no role trminal") as refused:
        line("trminal")
    assert "terminal" in refused.value.cure


def test_a_file_or_package_that_is_gone_is_a_problem_of_that_role(site: Any) -> None:
    site.add("", "ghost", group="arthexis.roles", entries={"ghost": "no_package:ghost", "host": "arthexis:ghost"})
    installed = roles.installed()
    assert "package no_package is not there" in installed["ghost"].problem
    assert "ghost.toml cannot be read" in installed["host"].problem


def test_a_roles_settings_lie_beneath_the_file_and_its_parents_beneath_them(install: Any, tmp_path: Path) -> None:
    install(
        low="summary='l'\n[config.http]\nport = 1\nhost = '127.0.0.2'\n[config.plugins.acme]\na = 1\nb = 1\n",
        high="summary='h'\nextends='low'\n[config.http]\nport = 2\n[config.plugins.acme]\na = 2\n",
    )
    found = Configuration(tmp_path / "x.toml", {"log": {"level": "error"}}, {})
    roles.beneath(found, line("high"))
    assert found.role == {"http": {"port": 2, "host": "127.0.0.2"}, "plugins": {"acme": {"a": 2, "b": 1}}}
    assert (found.settings.http.port, found.settings.http.host) == (2, "127.0.0.2")


def test_a_section_that_does_not_exist_names_the_role(install: Any, tmp_path: Path) -> None:
    install(odd="summary='o'\n[config.htpp]\nport = 1\n")
    with pytest.raises(ConfigError, match="there is no section htpp") as refused:
        roles.beneath(Configuration(tmp_path / "x.toml", {}, {}), line("odd"))
    assert refused.value.place == "role odd of acme-roles: config"


def test_a_wildcard_in_a_distribution_is_refused_in_a_role_too(install: Any) -> None:
    install(odd="summary='o'\nplugins = ['*:ocpp16.heartbeat']\n")
    with pytest.raises(ConfigError, match="names no plugin") as refused:
        roles.selection(line("odd"), Node())
    assert refused.value.place == "role odd"


def test_the_commands_list_show_and_use_roles(install: Any, arthexis: Any) -> None:
    install(big="summary = 'Big'\nextends = 'terminal'\n", bad="summary = 3\n")
    listed = {role["name"]: role for role in arthexis("roles", "list", "--json").json}
    assert [name for name, role in listed.items() if role["chosen"]] == ["terminal"]
    assert (listed["big"]["source"], bool(listed["bad"]["problem"])) == ("acme-roles", True)
    assert arthexis("roles", "show", "big", "--json").json["lineage"] == ["terminal", "big"]
    refused = arthexis("roles", "use", "bad", "--json")
    assert (refused.status, refused.error["code"]) == (3, "config")
    assert not arthexis.file.exists()
    used = arthexis("roles", "use", "big")
    assert used.status == 0
    assert str(arthexis.file) in used.out
    assert "at the next start" in used.out
    assert arthexis("status", "--json").json["role"] == "big"
