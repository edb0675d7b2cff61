"""Write a receipt for every session that ends, also for those that ended while this plugin was off."""

import asyncio
import json
from pathlib import Path
from typing import Annotated

from msgspec import Meta, Struct

from arthexis import Config, Subscriber, Unavailable, hookimpl


class Settings(Struct, forbid_unknown_fields=True, frozen=True):
    folder: Annotated[str, Meta(description="Where receipts are written; inside the data folder unless absolute")] = (
        "receipts"
    )


async def receipt(event, ctx):
    folder = Path(ctx.host.home) / ctx.config.folder
    text = json.dumps({"station": event.station, **event.data}, indent=2)
    try:
        await asyncio.to_thread(write, folder / f"{event.data['transaction_id']}.json", text)
    except OSError as problem:
        raise Unavailable(f"no receipt can be written: {problem}", cure="Set plugins.receipts.folder") from None


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


@hookimpl
def register_config():
    yield Config(Settings)


@hookimpl
def register_subscribers():
    yield Subscriber("receipts", frozenset({"transaction.stopped"}), receipt)
