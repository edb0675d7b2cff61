"""The settings of this plugin, section ``[plugins.wifi_ap]``."""

from __future__ import annotations

import ipaddress
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct, field

from arthexis import Secret

DEFAULT_TERMS: Final = {
    "en": "You use this connection at your own risk. Do nothing on it that is against the law or harms others. "
    "It is not encrypted beyond what your device does itself. We keep a scrambled form of your device's address "
    "and the time of this consent, and delete both later.",
    "es": "Usted utiliza esta conexión bajo su propia responsabilidad. No haga nada ilegal ni que perjudique a "
    "otros. No hay más cifrado que el de su propio dispositivo. Guardamos una forma cifrada de la dirección de "
    "su dispositivo y la hora de este consentimiento, y después borramos ambas.",
}


class Settings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What kind of network this node offers, where, and to whom. Nothing changes before ``arthexis wifi apply``."""

    profile: Annotated[
        Literal["public", "router"],
        Meta(description="public: guests behind a portal; router: the uplink shared with a network that is trusted"),
    ] = "public"
    interface: Annotated[
        str, Meta(description="Where it is offered, Wi-Fi or Ethernet; empty: the first radio that can")
    ] = ""
    uplink: Annotated[
        str, Meta(description="Where the internet is; empty: where the default route goes; none: nowhere")
    ] = ""
    ssid: Annotated[str, Meta(description="Name of the Wi-Fi network, 1 to 32 bytes")] = "Arthexis"
    passphrase: Annotated[
        Secret | None, Meta(description="WPA2 passphrase, 8 to 63 characters; without one: open, for guests only")
    ] = None
    band: Annotated[Literal["2.4", "5"], Meta(description="GHz")] = "2.4"
    channel: Annotated[int, Meta(ge=0, le=196, description="Channel; 0: NetworkManager chooses")] = 0
    hidden: Annotated[bool, Meta(description="Do not announce the name")] = False
    address: Annotated[str, Meta(description="This node's address in its network, with the prefix")] = "10.42.7.1/24"
    isolate: Annotated[bool, Meta(description="public: guests cannot reach each other")] = True
    reach_private: Annotated[
        bool, Meta(description="public: guests may reach private addresses behind the uplink, such as your own LAN")
    ] = False
    portal_port: Annotated[int, Meta(ge=1024, le=65535, description="public: port of the portal")] = 8088
    portal_name: Annotated[
        str, Meta(description="public: name that the certificate is for; guests find this node under it")
    ] = ""
    portal_certificate: Annotated[str, Meta(description="public: file (PEM) of the certificate chain")] = ""
    portal_key: Annotated[str, Meta(description="public: file (PEM) of its private key")] = ""
    portal_tls_port: Annotated[int, Meta(ge=1024, le=65535, description="public: port of the portal with TLS")] = 8443
    title: Annotated[str, Meta(min_length=1, max_length=100, description="public: title of the portal's page")] = (
        "Welcome"
    )
    terms: Annotated[dict[str, str], Meta(description="public: what guests consent to, by language (en, es)")] = field(
        default_factory=lambda: dict(DEFAULT_TERMS)
    )
    lease_minutes: Annotated[
        float, Meta(gt=0, le=44_640, description="public: for how long one consent lets a guest through")
    ] = 240.0
    consents_a_minute: Annotated[int, Meta(ge=1, le=10_000, description="public: more consents are asked to wait")] = 60
    consent_days: Annotated[float, Meta(gt=0, le=3_650, description="public: consents are kept for so long")] = 30.0
    gatekeeper: Annotated[str, Meta(description="Socket of the part that runs as root")] = (
        "/run/arthexis-wifi-gatekeeper.sock"
    )

    def __post_init__(self) -> None:
        """Refuse what is no network, and what would leave guests without a text."""
        try:
            found = ipaddress.IPv4Interface(self.address)
        except ValueError:
            raise ValueError("address: write it like 10.42.7.1/24") from None
        if not 8 <= found.network.prefixlen <= 30 or found.ip in {
            found.network.network_address,
            found.network.broadcast_address,
        }:
            raise ValueError("address: a node's address and a prefix from 8 to 30, like 10.42.7.1/24")
        if not set(self.terms) or not set(self.terms) <= set(DEFAULT_TERMS) or not all(self.terms.values()):
            raise ValueError(f"terms: texts for {' and '.join(DEFAULT_TERMS)}, at least one")
        if bool(self.portal_name) != bool(self.portal_certificate):
            raise ValueError("portal_name and portal_certificate go together")

    @property
    def home(self) -> ipaddress.IPv4Interface:
        """This node's address in its network."""
        return ipaddress.IPv4Interface(self.address)

    @property
    def portal(self) -> str:
        """Where a guest's browser is sent; without TLS by address, because nobody can forge it there."""
        if self.portal_name:
            return f"https://{self.portal_name}:{self.portal_tls_port}/"
        return f"http://{self.home.ip}:{self.portal_port}/"
