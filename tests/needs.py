"""What tests need of the machine: without it they are skipped, except where ``test.sh`` could have everything.

Then it sets ``ARTHEXIS_TESTS=whole``, and nothing may be missing.
"""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

WHOLE = "ARTHEXIS_TESTS"


def lacks(what: str) -> NoReturn:
    """Skip the test, because of what is not here (and how to get it); where all of it must be here, fail it."""
    if os.environ.get(WHOLE) == "whole":
        pytest.fail(f"must be here: {what}", pytrace=False)
    pytest.skip(what)
