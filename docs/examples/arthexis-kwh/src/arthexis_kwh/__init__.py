"""Add the command `arthexis kwh`."""

from arthexis import Command, hookimpl


@hookimpl
def register_commands():
    yield Command("kwh", "arthexis_kwh.commands:kwh", "Add up the energy of each tag")
