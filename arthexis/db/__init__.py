"""Storing: the engine, statements compiled once, the journal that commits in groups, and migrations."""
