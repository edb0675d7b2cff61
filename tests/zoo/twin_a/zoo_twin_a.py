"""Have the name of another."""
