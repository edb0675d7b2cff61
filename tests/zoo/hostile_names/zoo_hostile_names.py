"""Name a vendor with a text that equals everything and has no hash."""

from arthexis import DataTransfer, hookimpl


class Everything(str):
    def __eq__(self, other):
        raise RuntimeError("compare me not")

    def __hash__(self):
        raise RuntimeError("hash me not")


async def answer(station, data):
    return None


@hookimpl
def register_data_transfers():
    yield DataTransfer(Everything("com.everything"), "Ping", answer)
