"""OCPP-J, the JSON transport, for any OCPP version: who may connect, one socket, frames, calls both ways."""
