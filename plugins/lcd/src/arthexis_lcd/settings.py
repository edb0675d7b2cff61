"""The settings, section ``[plugins.lcd]``."""

from __future__ import annotations

from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from msgspec import Meta, Struct

from arthexis_lcd import i2c

VIRTUAL = "virtual"


class Settings(Struct, kw_only=True, forbid_unknown_fields=True):
    """Where the display is, what it is, and how it shows things."""

    bus: Annotated[
        int | str, Meta(description='Number or device file of the I2C bus; "virtual" is a display in the console only')
    ] = 1
    address: Annotated[
        Annotated[int, Meta(ge=i2c.FIRST, le=i2c.LAST)] | None,
        Meta(description="Its address; without one, 0x27 and 0x3f are tried"),
    ] = None
    columns: Annotated[Literal[16, 20], Meta(description="Characters in a row")] = 16
    rows: Annotated[Literal[2, 4], Meta(description="Rows")] = 2
    rom: Annotated[
        Literal["A00", "A02"], Meta(description="Its built-in characters: A00 (Japanese, the usual) or A02 (European)")
    ] = "A00"
    backlight: Annotated[bool, Meta(description="Whether the backlight is on")] = True
    name: Annotated[str, Meta(max_length=100, description="The node's name; without one, the machine's")] = ""
    zone: Annotated[
        str | None, Meta(description="Time zone of its clock, like Europe/Prague; without one, that of the stations")
    ] = None
    goodbye: Annotated[str, Meta(max_length=100, description="What it shows when the node has stopped")] = "Goodbye"
    shortest_s: Annotated[float, Meta(gt=0, le=60, description="A message is shown for at least so long")] = 3.0
    step_s: Annotated[float, Meta(ge=0.1, le=10, description="Seconds for each step of a text that scrolls")] = 0.4
    head_s: Annotated[float, Meta(ge=0, le=60, description="Seconds that a text stands before it scrolls")] = 1.5
    refresh_s: Annotated[
        float, Meta(ge=1, description="Everything is written anew so often, whatever a disturbance has done")
    ] = 15.0

    def __post_init__(self) -> None:
        """Refuse a bus and a time zone that cannot be."""
        if isinstance(self.bus, str) and self.bus != VIRTUAL and not self.bus.startswith("/"):
            raise ValueError(f'bus is a number, a device file like /dev/i2c-1, or "{VIRTUAL}", not {self.bus!r}')
        if isinstance(self.bus, int) and self.bus < 0:
            raise ValueError(f"bus is 0 or more, not {self.bus}")
        if self.zone is not None:
            try:
                ZoneInfo(self.zone)
            except (OSError, ValueError, LookupError):
                raise ValueError(f"zone is no time zone: {self.zone!r}") from None
