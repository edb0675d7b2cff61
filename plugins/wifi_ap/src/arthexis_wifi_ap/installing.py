"""What must be installed as root, as a shell script to read and run: four files that need nothing of this one."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Final

from arthexis import Invalid

USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}").fullmatch
GATEKEEPER: Final = "/usr/local/libexec/arthexis-wifi-gatekeeper"
UNITS: Final = "/etc/systemd/system"
RULES: Final = "/etc/polkit-1/rules.d/50-arthexis-wifi.rules"
SERVICE: Final = "arthexis-wifi-gatekeeper"
PLACES: Final = {
    "gatekeeper.py": (GATEKEEPER, "755"),
    f"install/{SERVICE}.socket": (f"{UNITS}/{SERVICE}.socket", "644"),
    f"install/{SERVICE}.service": (f"{UNITS}/{SERVICE}.service", "644"),
    "install/50-arthexis-wifi.rules": (RULES, "644"),
}
END: Final = "END_OF_FILE_OF_ARTHEXIS"


def script(user: str) -> str:
    """Shell that installs the gatekeeper for the user that the node runs as; raises ``Invalid`` for no user name."""
    if not USER(user):
        raise Invalid(f"{user!r} is no name of a user", place="--user", cure="Name the user that the node runs as")
    parts = [_file(source, place, mode, user) for source, (place, mode) in PLACES.items()]
    return "\n".join(
        (
            "#!/bin/sh",
            f"# Installs the gatekeeper of the Arthexis access point for {user}. Read it, then run it as root.",
            "set -eu",
            f"id {user} >/dev/null",
            "install -d -m 755 /usr/local/libexec /etc/NetworkManager/dnsmasq-shared.d /etc/polkit-1/rules.d",
            *parts,
            "systemctl daemon-reload",
            f"systemctl enable {SERVICE}.socket",
            f"systemctl stop {SERVICE}.service",
            f"systemctl restart {SERVICE}.socket",
            "",
        )
    )


def undoing() -> str:
    """Shell that takes all of it away."""
    gone = " ".join(place for place, _ in PLACES.values())
    return "\n".join(
        (
            "#!/bin/sh",
            "# Takes the gatekeeper of the Arthexis access point away. Run `arthexis wifi remove` before it.",
            "set -eu",
            f"systemctl disable --now {SERVICE}.socket || true",
            f"systemctl stop {SERVICE}.service || true",
            f"rm -f {gone}",
            "systemctl daemon-reload",
            "",
        )
    )


def _file(source: str, place: str, mode: str, user: str) -> str:
    text = files("arthexis_wifi_ap").joinpath(source).read_text("utf-8").replace("@USER@", user)
    if source == "gatekeeper.py":
        text = f"#!/usr/bin/python3 -I\n{text}"
    return f"cat >{place} <<'{END}'\n{text}{END}\nchown root:root {place}\nchmod {mode} {place}"
