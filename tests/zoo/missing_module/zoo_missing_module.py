"""Name a module that was never shipped."""
