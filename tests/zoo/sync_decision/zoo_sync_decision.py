"""Write a decide_* hook as a plain function."""

from arthexis import hookimpl


@hookimpl
def decide_boot(station, boot):
    return None
