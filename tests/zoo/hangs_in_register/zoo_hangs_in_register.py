"""Never finish registering."""

import time

from arthexis import hookimpl


@hookimpl
def register_services():
    time.sleep(3600)
    yield
