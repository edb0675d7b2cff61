"""The kit for testing plugins against a real node."""
