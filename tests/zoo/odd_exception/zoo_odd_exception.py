"""Raise what no `except Exception` catches, with a text that cannot be read."""

class Odd(BaseException):
    def __str__(self):
        raise ValueError("unspeakable")


raise Odd
