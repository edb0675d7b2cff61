"""A role, and nothing that runs: `carpark.toml` is the role of a node that serves a car park."""
