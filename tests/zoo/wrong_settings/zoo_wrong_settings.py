"""Be configured wrongly."""

import msgspec

from arthexis import Config, hookimpl


class Settings(msgspec.Struct):
    interval_s: int = 300


@hookimpl
def register_config():
    yield Config(Settings)
