"""RFID readers: cards that are held against a reader of the node, and what comes of it."""
