"""What tests need of the machine: without it they are skipped, except where CI runs: there nothing may be missing."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def lacks(what: str) -> NoReturn:
    """Skip the test, because of what is not here (and how to get it); where ``CI`` is ``true``, fail it."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"must be here where CI runs: {what}", pytrace=False)
    pytest.skip(what)
