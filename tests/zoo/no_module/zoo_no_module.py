"""Name something that is no module."""


def plugin():
    """Be a function."""
