"""Stand-in while the real one is written."""
from __future__ import annotations
from arthexis.contributions import Fault
class Unmendable(Exception):
    def __init__(self, fault, detail): super().__init__(detail); self.fault=fault
def classify(error): return Fault.UNREADABLE
def mend(raw, struct, protocol, *, unrefusable): raise Unmendable(Fault.UNREADABLE, "stand-in")
def read_broken(text): return None
