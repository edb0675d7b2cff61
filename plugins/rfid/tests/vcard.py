"""A card behind the virtual reader of pcscd (vpcd): MIFARE Classic 1K as an ACR122U presents it (PC/SC part 3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

CLASSIC_1K = bytes.fromhex("3B8F8001804F0CA000000306030001000000006A")
ULTRALIGHT = bytes.fromhex("3B8F8001804F0CA0000003060300030000000068")
OFF, ON, RESET, ATR = 0, 1, 2, 4


class VirtualCard:
    """What the reader says for a card; ``blocks`` is its memory, ``key`` opens every sector."""

    def __init__(self, uid: str, atr: bytes = CLASSIC_1K, key: bytes = b"\xff" * 6) -> None:
        self.uid, self.atr, self.key = bytes.fromhex(uid), atr, key
        self.blocks = {number: bytes(16) for number in range(64)}
        self.loaded, self.opened = b"", -1

    def answer(self, apdu: bytes) -> bytes:
        head, body = apdu[:4], apdu[5:]
        if head == b"\xff\xca\x00\x00":
            return self.uid + b"\x90\x00" if self.uid else b"\x6a\x81"
        if head[:2] == b"\xff\x82":
            self.loaded = body
            return b"\x90\x00"
        if head[:2] == b"\xff\x86":
            self.opened = body[2] // 4 if self.loaded == self.key else -1
            return b"\x90\x00" if self.opened >= 0 else b"\x63\x00"
        if head[:2] not in (b"\xff\xb0", b"\xff\xd6"):
            return b"\x6d\x00"
        if self.opened != head[3] // 4:
            return b"\x63\x00"
        if head[1] == 0xD6:
            self.blocks[head[3]] = body
            return b"\x90\x00"
        return self.blocks[head[3]] + b"\x90\x00"


@asynccontextmanager
async def on_reader(card: VirtualCard, port: int) -> AsyncIterator[None]:
    """The card lies on the reader while the block runs."""
    read, write = await asyncio.open_connection("127.0.0.1", port)

    async def speak() -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                said = await read.readexactly(int.from_bytes(await read.readexactly(2)))
                if len(said) > 1:
                    answer = card.answer(said)
                elif said[0] == ATR:
                    answer = card.atr
                else:
                    card.opened = -1
                    continue
                write.write(len(answer).to_bytes(2) + answer)
                await write.drain()

    speaking = asyncio.ensure_future(speak())
    try:
        yield
    finally:
        write.close()
        with suppress(ConnectionError):
            await write.wait_closed()
        await speaking
