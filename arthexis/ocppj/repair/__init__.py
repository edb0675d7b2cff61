"""Repair: what a station meant by a frame or a payload that does not decode, by general rules for any OCPP version.

Used in repair mode only, and only after the normal decoding has failed, so that good messages pay nothing. Each
repair leaves one short text that names the wire path and what was done; the raw frame is kept by the caller.
"""

from __future__ import annotations

from arthexis.ocppj.repair.broken import Broken, read_broken
from arthexis.ocppj.repair.faults import Unmendable, classify
from arthexis.ocppj.repair.mending import Mended, mend
from arthexis.ocppj.repair.notes import echo

__all__ = ["Broken", "Mended", "Unmendable", "classify", "echo", "mend", "read_broken"]
