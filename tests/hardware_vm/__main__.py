"""Run stories in the machine: ``python -m tests.hardware_vm [STORY…] [--log FILE]``; 0 where all passed."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from tests.hardware_vm.machine import HERE, Kernel, Missing, boot


def stories() -> list[str]:
    """The names of what there is to run."""
    return sorted(path.stem.removeprefix("story_") for path in HERE.glob("story_*.py"))


def main() -> int:
    """Boot once for each story."""
    parser = argparse.ArgumentParser(prog="python -m tests.hardware_vm", description=__doc__)
    parser.add_argument("story", nargs="*", help=f"which to run: {', '.join(stories())}; all, if none is named")
    parser.add_argument("--log", type=Path, help="also write what the stories printed into this file")
    chosen = parser.parse_args()
    told: list[str] = []
    failed = False
    try:
        kernel = Kernel.fetched()
        for story in chosen.story or stories():
            begun = time.monotonic()
            passed, said = boot(kernel, story)
            failed |= not passed
            verdict = "passed" if passed else "FAILED"
            told.append(f"== {story}: {verdict} in {time.monotonic() - begun:.0f} s on Linux {kernel.version}\n{said}")
            print(told[-1], flush=True)
    except Missing as missing:
        print(missing, file=sys.stderr)
        return 2
    if chosen.log is not None:
        chosen.log.write_text("\n".join(told), "utf-8")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
