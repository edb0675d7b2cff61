"""The country that the radio obeys, asked of the kernel by netlink: reading it needs no rights."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from typing import Final

GENERIC: Final = 16
CONTROL: Final = 0x10
REQUEST: Final = 1
GET_FAMILY, FAMILY_ID, FAMILY_NAME = 3, 1, 2
GET_REGULATION, COUNTRY = 31, 33
PATIENCE_S: Final = 2.0
UNSET: Final = "00"


def country() -> str:
    """Two letters; "00" where no country is set; empty where the kernel has no Wi-Fi or does not say."""
    family = getattr(socket, "AF_NETLINK", None)
    if family is None:
        return ""
    try:
        with socket.socket(family, socket.SOCK_RAW, GENERIC) as kernel:
            kernel.settimeout(PATIENCE_S)
            kernel.bind((0, 0))
            name = _attribute(FAMILY_NAME, b"nl80211\0")
            number = dict(_asked(kernel, CONTROL, GET_FAMILY, name)).get(FAMILY_ID)
            if number is None:
                return ""
            letters = dict(_asked(kernel, struct.unpack("=H", number)[0], GET_REGULATION, b"")).get(COUNTRY, b"")
    except (OSError, struct.error):
        return ""
    return letters.rstrip(b"\0").decode("ascii", "replace")


def _attribute(kind: int, value: bytes) -> bytes:
    length = 4 + len(value)
    return struct.pack("=HH", length, kind) + value + bytes(-length % 4)


def _asked(kernel: socket.socket, family: int, command: int, attributes: bytes) -> Iterator[tuple[int, bytes]]:
    """One question to a family of generic netlink, and the attributes of its answer; none where it is refused."""
    body = struct.pack("=BBH", command, 1, 0) + attributes
    kernel.send(struct.pack("=IHHII", 16 + len(body), family, REQUEST, 1, 0) + body)
    answer = kernel.recv(65536)
    length, kind = struct.unpack_from("=IH", answer)
    at = 20 if kind == family else length
    while at + 4 <= min(length, len(answer)):
        size, name = struct.unpack_from("=HH", answer, at)
        if size < 4:
            return
        yield name & 0x3FFF, answer[at + 4 : at + size]
        at += (size + 3) & ~3
