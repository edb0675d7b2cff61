"""Look every hour which stations have not been heard for long, and keep what was found in a file."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import sqlalchemy as sa
from msgspec import Meta, Struct

from arthexis import Config, Job, hookimpl, station_table


class Settings(Struct, forbid_unknown_fields=True, frozen=True):
    file: Annotated[str, Meta(description="Where the list is written")] = "silent.json"
    silent_hours: Annotated[float, Meta(description="Unheard for so long", gt=0)] = 12.0


async def look(ctx, args):
    before = ctx.clock.now() - timedelta(hours=args.get("hours", ctx.config.silent_hours))
    wanted = sa.select(station_table.c.identity).where(station_table.c.last_seen_at < before)
    silent = await ctx.host.database.read(lambda db: sorted(db.core.execute(wanted).scalars()))
    path = Path(ctx.host.home) / ctx.config.file
    path.write_text(json.dumps(silent), "utf-8")
    ctx.log.info("%d stations are silent", len(silent))


@hookimpl
def register_config():
    yield Config(Settings)


@hookimpl
def register_jobs():
    yield Job("nightwatch.look", look, every_s=3600, retries=2)
