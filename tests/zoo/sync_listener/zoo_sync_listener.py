"""Write an on_* hook as a plain function."""

from arthexis import hookimpl


@hookimpl
def on_booted(event):
    pass
