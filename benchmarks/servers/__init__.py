"""The servers that are compared, each a process of its own: two rivals, the floor, and ours."""
