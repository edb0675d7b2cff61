"""Benchmarks: ours against its rivals and its floor, in ratios; instructions, bytes, and figures of one machine.

``python -m benchmarks.run`` compares, ``python -m benchmarks.instructions`` counts, ``python -m benchmarks.machine``
records. README.md beside this file says how to read them and what they said.
"""
