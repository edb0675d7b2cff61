"""OCPP 1.6 for Arthexis: its messages, its error names and one module for each action."""
