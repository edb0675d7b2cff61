"""The test kit for plugin authors: a real node on a free port, a charge point over a real socket, a clock to turn."""

from __future__ import annotations

from arthexis.testing.clock import FrozenClock
from arthexis.testing.node import Node, node
from arthexis.testing.wire import Wire, wire

__all__ = ["FrozenClock", "Node", "Wire", "node", "wire"]
