"""Cut the power ten thousand times, at every operation on the disk and then at random ones.

python -m tests.campaigns.power_loss --crashes 10000
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
from pathlib import Path

from tests.power_loss import lost, record


def main() -> int:
    """The command."""
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--crashes", type=int, default=10_000)
    words.add_argument("--seed", type=int, default=random.randrange(10**6))
    given = words.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        before, statements = asyncio.run(record(folder / "node"))
        faults = lost(folder, before, statements, given.crashes, random.Random(given.seed))
    print(f"seed {given.seed}: {given.crashes} crashes, {len(faults)} faults")
    print("\n".join(faults[:20]))
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
