"""Fail after the first contribution."""

from arthexis import DataTransfer, hookimpl


@hookimpl
def register_data_transfers():
    yield DataTransfer("com.zoo", "Half", print)
    raise LookupError("the other half")
