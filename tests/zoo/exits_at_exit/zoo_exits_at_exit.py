"""Exit with another status when the process ends."""

import atexit
import sys

atexit.register(sys.exit, 7)
