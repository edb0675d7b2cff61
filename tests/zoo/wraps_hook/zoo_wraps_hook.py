"""Try to wrap what others say."""

from arthexis import hookimpl


@hookimpl(wrapper=True)
def register_actions():
    return (yield)
