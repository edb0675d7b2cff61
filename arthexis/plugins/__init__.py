"""Plugins: discovered by stevedore, registered by pluggy, called through one file that contains their faults."""
