"""The HTTP API ``/api/v1``: one room for each topic, and the table of all routes of the host."""
