"""Offer the same thing twice."""

from arthexis import DataTransfer, hookimpl


@hookimpl
def register_data_transfers():
    for _ in range(2):
        yield DataTransfer("com.zoo", "Twice", print)
