"""What an error of the database means: the statement is wrong, or the database itself is in trouble, and which kind.

Only errors of the first kind belong to the function that ran the statement. A locked file, a full disk or a lost
connection befalls every write alike, and so does a disk that cannot be trusted any more.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final


class Fault(Enum):
    """Whose fault an error is, and what to do about it."""

    STATEMENT = "the function's own: it alone fails"
    BUSY = "somebody else's lock, or a connection that can be made anew: try again"
    FULL = "nothing can be stored now: tell everybody, it may heal"
    DISK = "what the disk said it kept may be lost: stop"


# SQLite's primary result codes: BUSY, LOCKED; PERM, NOMEM, READONLY, FULL, CANTOPEN, PROTOCOL; IOERR, CORRUPT, NOTADB.
SQLITE: Final = {
    5: Fault.BUSY,
    6: Fault.BUSY,
    3: Fault.FULL,
    7: Fault.FULL,
    8: Fault.FULL,
    13: Fault.FULL,
    14: Fault.FULL,
    15: Fault.FULL,
    10: Fault.DISK,
    11: Fault.DISK,
    26: Fault.DISK,
}
# PostgreSQL's SQLSTATE, whole or its class: lock not available; connection, serialization, shutdown; resources, system.
POSTGRESQL: Final = {
    "55P03": Fault.BUSY,
    "25P02": Fault.BUSY,
    "25P03": Fault.BUSY,
    "08": Fault.BUSY,
    "40": Fault.BUSY,
    "57": Fault.BUSY,
    "53": Fault.FULL,
    "58": Fault.FULL,
    "25006": Fault.FULL,
}


def fault(error: BaseException) -> Fault:
    """What an error that a write ended with means; anything that is no error of a database is the function's own."""
    cause: Any = getattr(error, "orig", None) or error
    code = getattr(cause, "sqlite_errorcode", None)
    if code is not None:
        return SQLITE.get(code & 0xFF, Fault.STATEMENT)
    state = getattr(cause, "sqlstate", "")
    if state is None:
        return Fault.BUSY if type(cause).__name__ == "OperationalError" else Fault.STATEMENT
    return POSTGRESQL.get(state) or POSTGRESQL.get(state[:2], Fault.STATEMENT)
