"""The settings, section ``[plugins.rfid]``: which readers there are, and what a scan at each does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

Does = Literal["none", "who", "inbox", "release", "start"]
DriverName = Literal["pcsc", "mfrc522", "serial", "keyboard", "virtual"]
Form = Literal["decimal", "decimal-reversed", "hex8", "legacy", "reversed", "wiegand26", "wiegand26-reversed"]
Reads = Literal["hex", "hex-reversed", "decimal", "decimal-reversed", "text"]
OWN: Final[Mapping[str, frozenset[str]]] = {
    "pcsc": frozenset(),
    "mfrc522": frozenset({"speed_hz"}),
    "serial": frozenset({"baud", "frames", "reads", "technology"}),
    "keyboard": frozenset({"reads", "technology"}),
    "virtual": frozenset({"reads", "technology"}),
}
NEED_DEVICE: Final = frozenset({"serial", "keyboard"})


class Reader(Struct, kw_only=True, forbid_unknown_fields=True):
    """One reader."""

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$", description="How the reader is called")]
    driver: Annotated[DriverName, Meta(description="How it is reached")]
    device: Annotated[
        str,
        Meta(
            description="pcsc: part of the reader's name (empty: any); mfrc522: the SPI device; serial: the port; "
            "keyboard: path or part of the name; virtual: a file or FIFO of lines, if any"
        ),
    ] = ""
    on_scan: Annotated[
        Does,
        Meta(
            description="none: only the event; who: a text; inbox: unknown cards wait for release; release: they are "
            "let in at once; start: a known card starts charging at `station` and `connector`"
        ),
    ] = "inbox"
    station: Annotated[str, Meta(max_length=48, description="on_scan = start: the station")] = ""
    connector: Annotated[int, Meta(ge=0, le=2**31 - 1, description="on_scan = start: the connector; 0: any")] = 0
    tell: Annotated[bool, Meta(description="Whether people are told of a scan, where a plugin sends notifications")] = (
        True
    )
    known_as: Annotated[
        list[Form], Meta(description="Forms in which the tags of cards may be written, besides the UID itself")
    ] = []
    aliases: Annotated[
        list[Form], Meta(description="Forms that become aliases of a card that is released at this reader")
    ] = []
    gap_s: Annotated[float, Meta(ge=0.2, le=60, description="Away for so long, a card has left; seconds")] = 1.0
    held_s: Annotated[float, Meta(ge=0.2, le=600, description="On the reader for so long, a card is held")] = 2.0
    speed_hz: (
        Annotated[int, Meta(ge=10_000, le=10_000_000, description="mfrc522: clock of the bus (1000000)")] | UnsetType
    ) = UNSET
    baud: Annotated[int, Meta(ge=300, le=3_000_000, description="serial: bits a second (9600)")] | UnsetType = UNSET
    frames: (
        Annotated[Literal["rdm6300", "lines"], Meta(description="serial: what comes over the line (lines)")] | UnsetType
    ) = UNSET
    reads: (
        Annotated[Reads, Meta(description="serial, keyboard, virtual: how numbers are written (hex)")] | UnsetType
    ) = UNSET
    technology: (
        Annotated[
            Literal["iso14443a", "em4100"], Meta(description="serial, keyboard, virtual: kind of cards (iso14443a)")
        ]
        | UnsetType
    ) = UNSET

    def __post_init__(self) -> None:
        """Refuse what cannot work together; raises ``ValueError``."""
        special = sorted(name for name in set().union(*OWN.values()) if getattr(self, name) is not UNSET)
        foreign = [name for name in special if name not in OWN[self.driver]]
        if foreign:
            raise ValueError(f"reader {self.name}: {foreign[0]} is not for the driver {self.driver}")
        if self.driver in NEED_DEVICE and not self.device:
            raise ValueError(f"reader {self.name}: the driver {self.driver} needs a device")
        if self.on_scan == "start" and not self.station:
            raise ValueError(f"reader {self.name}: on_scan = start needs a station")

    def option(self, name: str, default: Any) -> Any:
        """An option of its driver, or the default where it was left out."""
        value = getattr(self, name)
        return default if value is UNSET else value


class Settings(Struct, kw_only=True, forbid_unknown_fields=True):
    """The readers of this node."""

    readers: Annotated[list[Reader], Meta(max_length=32, description="Readers, each with name and driver")] = []
    retry_s: Annotated[float, Meta(ge=0.1, le=300, description="A reader that is gone is looked for so often")] = 3.0

    def __post_init__(self) -> None:
        """Refuse two readers of one name; raises ``ValueError``."""
        names = [reader.name for reader in self.readers]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two readers are called {twice[0]}")
