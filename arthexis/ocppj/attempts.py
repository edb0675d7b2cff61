"""What is counted at the gate: failed logins, and sockets that take an identity from each other. All bounded."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from typing import Final

MOST_KEPT: Final = 10_000
WIDER: Final = 10
FLAPS: Final = 6


class Allowance:
    """So many a minute for each key, saved up to one minute's; bounded: the key used longest ago goes first."""

    def __init__(self, per_minute: int) -> None:
        """Give each key ``per_minute``."""
        self._most = float(per_minute)
        self._spent: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def left(self, key: str, now: float) -> float:
        """How many a key has left."""
        tokens, since = self._spent.get(key, (self._most, now))
        return min(self._most, tokens + (now - since) * self._most / 60)

    def spend(self, key: str, now: float) -> None:
        """Take one."""
        self._spent[key] = (max(0.0, self.left(key, now) - 1), now)
        self._spent.move_to_end(key)
        if len(self._spent) > MOST_KEPT:
            self._spent.popitem(last=False)


class Attempts:
    """Failed logins: so many a minute are looked at for one station from one address.

    For one address and for one station altogether there are ``WIDER`` times as many, so that neither a wrong key
    behind a shared address nor a guesser elsewhere locks a good station out. One that was right before from where it
    is is looked at in any case.
    """

    def __init__(self, per_minute: int) -> None:
        """Allow ``per_minute`` failed logins of one station from one address."""
        self._pairs, self._networks, self._stations = (
            Allowance(per_minute),
            Allowance(WIDER * per_minute),
            Allowance(WIDER * per_minute),
        )
        self._good: OrderedDict[str, None] = OrderedDict()

    def allowed(self, address: str, identity: str, now: float) -> bool:
        """Whether this login is looked at at all."""
        network = network_of(address)
        pair = f"{network} {identity}"
        return pair in self._good or (
            self._pairs.left(pair, now) >= 1
            and self._networks.left(network, now) >= 1
            and self._stations.left(identity, now) >= 1
        )

    def failed(self, address: str, identity: str, now: float) -> None:
        """A login was wrong."""
        network = network_of(address)
        pair = f"{network} {identity}"
        self._good.pop(pair, None)
        self._pairs.spend(pair, now)
        self._networks.spend(network, now)
        self._stations.spend(identity, now)

    def succeeded(self, address: str, identity: str) -> None:
        """A login was right."""
        pair = f"{network_of(address)} {identity}"
        self._good[pair] = None
        self._good.move_to_end(pair)
        if len(self._good) > 2 * MOST_KEPT:
            self._good.popitem(last=False)


def network_of(address: str) -> str:
    """What one customer of a network has: an IPv4 address, of an IPv6 address its first 64 bits."""
    if ":" not in address:
        return address
    try:
        found = ipaddress.IPv6Address(address)
    except ValueError:
        return address
    return str(found.ipv4_mapped or ipaddress.IPv6Address(int(found) >> 64 << 64))


class Swaps:
    """Sockets that take an identity from each other in turns: two stations of one identity, or a stolen key."""

    def __init__(self) -> None:
        """Nobody fights yet."""
        self._counts: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def flap(self, key: str, now: float) -> bool:
        """Count a take-over; True for the one in a minute that makes it too many."""
        count, since = self._counts.pop(key, (0, now))
        if now - since > 60:
            count, since = 0, now
        self._counts[key] = (count + 1, since)
        if len(self._counts) > MOST_KEPT:
            self._counts.popitem(last=False)
        return count + 1 == FLAPS
