"""Name an attribute that is not there."""
