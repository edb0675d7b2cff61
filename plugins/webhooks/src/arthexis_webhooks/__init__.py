"""Webhooks: what happens on a node, delivered over HTTP to whoever subscribed, signed and in order."""
