"""Pretend that somebody pressed Ctrl-C."""

raise KeyboardInterrupt
