"""Scripted faults: what goes wrong, how often, and when its next turn is.

=========== ======================================= ================================================
kind        answers to the central system           the station's own part
=========== ======================================= ================================================
late        leave seconds late                      meter values leave seconds late
silent      never leave                             meter values are lost, and sent again (§3.7.1)
malformed   leave as a frame that is no JSON        so do meter values, which are then sent again
reject      say Rejected (or CALLERROR)             --
drop        --                                      the connection is cut in the middle of a session
reboot      --                                      so it is, and the station boots again
=========== ======================================= ================================================
"""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import dataclass, field

from arthexis_simulator.answers import Late, Malformed, Script, Silence, rejection

KINDS = ("late", "reject", "silent", "malformed", "reboot", "drop")
ANSWERING = ("reject", "silent", "malformed", "late")
SENDING = ("silent", "malformed", "late")
BREAKING = ("reboot", "drop")
LATE_S = 3.0
USUAL_NTH = {"sending": 5}
FORM = re.compile(
    r"(?P<kind>[a-z]+)(:((?P<share>0?\.\d+|[01](\.\d+)?)|(?P<percent>\d+(\.\d+)?)%|each-(?P<nth>[1-9]\d*)))?"
    r"(@(?P<seconds>\d+(\.\d+)?)s?)?"
)


@dataclass(slots=True)
class Fault:
    """A fault: each ``nth`` time, or with a probability; neither means each time (each 5th of the meter values)."""

    kind: str
    nth: int | None = None
    probability: float | None = None
    seconds: float = LATE_S
    turns: Counter[str] = field(default_factory=Counter)

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read ``KIND[:WHEN][@SECONDS]``, WHEN being ``0.2``, ``20%`` or ``each-3``; raises ``ValueError``."""
        found = FORM.fullmatch(text)
        if found is None or found["kind"] not in KINDS:
            raise ValueError(
                f"{text!r} is no fault: write one of {', '.join(KINDS)}, with how often behind it if not each time: "
                "drop:0.2, drop:20%, drop:each-3; late@10 for ten seconds"
            )
        share = float(found["share"]) if found["share"] else None
        if found["percent"]:
            share = float(found["percent"]) / 100
        if share is not None and share > 1:
            raise ValueError(f"{text!r}: a probability is at most 1")
        seconds = float(found["seconds"]) if found["seconds"] else LATE_S
        return cls(found["kind"], int(found["nth"]) if found["nth"] else None, share, seconds)

    def strikes(self, where: str, rng: random.Random) -> bool:
        """Whether it happens at this opportunity of its kind."""
        self.turns[where] += 1
        if self.probability is not None:
            return rng.random() < self.probability
        return self.turns[where] % (self.nth or USUAL_NTH.get(where, 1)) == 0


@dataclass(slots=True)
class Faults:
    """The faults of one station; ``played`` counts what really happened."""

    faults: list[Fault] = field(default_factory=list)
    rng: random.Random = field(default_factory=random.Random)
    played: Counter[str] = field(default_factory=Counter)

    def _struck(self, kinds: tuple[str, ...], where: str) -> Fault | None:
        struck = [f for f in self.faults if f.kind in kinds and f.strikes(where, self.rng)]
        if not struck:
            return None
        self.played[struck[0].kind] += 1
        return struck[0]

    def answering(self, action: str) -> Script | None:
        """What becomes of the answer to a CALL of the central system; None: the usual."""
        fault = self._struck(ANSWERING, "answering")
        if fault is None:
            return None
        scripts: dict[str, Script] = {"silent": Silence(), "malformed": Malformed(), "late": Late(fault.seconds)}
        return scripts.get(fault.kind) or rejection(action)

    def sending(self) -> Fault | None:
        """What becomes of a message about to leave for the first time: silent, malformed or late; None: nothing."""
        return self._struck(SENDING, "sending")

    def breaking(self) -> Fault | None:
        """What happens in the middle of a session: reboot or drop; None: nothing."""
        return self._struck(BREAKING, "breaking")
