"""Declare settings that cannot be read at all."""

import msgspec

from arthexis import Config, hookimpl


class Settings(msgspec.Struct):
    thread: __import__("threading").Thread = None


@hookimpl
def register_config():
    yield Config(Settings)
