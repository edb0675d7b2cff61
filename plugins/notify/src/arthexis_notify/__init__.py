"""Notifications: rules say what people are told, notifiers tell them, and nothing is lost on the way."""
