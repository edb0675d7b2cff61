"""Station keys: 20 random characters of ours, kept as HMAC-SHA256 under a pepper that is not in the database.

In OCPP 1.6 they are called AuthorizationKey and have 16 to 20 bytes, of any value where they were made elsewhere.
A dump of the database is useless without the pepper, and 10,000 reconnects cost 10,000 HMACs.
"""

from __future__ import annotations

import contextlib
import hmac
import secrets
import string
from dataclasses import dataclass

KEY_BYTES = 20
LENGTHS = range(16, KEY_BYTES + 1)
SALT_BYTES = 16
ALPHABET = string.ascii_letters + string.digits + "-_"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """What the database keeps of a key."""

    salt: bytes
    digest: bytes


def new_key() -> bytes:
    """A fresh key of 120 random bits: 20 bytes that are also plain text, for stations that take only text."""
    return "".join(secrets.choice(ALPHABET) for _ in range(KEY_BYTES)).encode()


def from_hex(text: str) -> bytes | None:
    """A key made elsewhere, from the 32 to 40 hexadecimal digits of its 16 to 20 bytes; None if it is not that.

    What repeats itself is no key: random bytes hardly do.
    """
    try:
        key = bytes.fromhex(text)
    except ValueError:
        return None
    return key if len(key) in LENGTHS and len(text) == 2 * len(key) and len(set(key)) > len(key) // 3 else None


def store(key: bytes, pepper: bytes) -> StoredKey:
    """The stored form of a key, under a new salt."""
    salt = secrets.token_bytes(SALT_BYTES)
    return StoredKey(salt, _digest(salt, key, pepper))


def matches(presented: bytes, stored: StoredKey, pepper: bytes) -> bool:
    """Whether the Basic password is the key, sent as its bytes or as its hexadecimal digits; in constant time."""
    forms = [presented]
    if len(presented) % 2 == 0 and len(presented) // 2 in LENGTHS:
        with contextlib.suppress(ValueError):
            forms.append(bytes.fromhex(presented.decode("ascii")))
    results = [hmac.compare_digest(_digest(stored.salt, form, pepper), stored.digest) for form in forms]
    return any(results)


def _digest(salt: bytes, key: bytes, pepper: bytes) -> bytes:
    return hmac.digest(pepper, salt + key, "sha256")
