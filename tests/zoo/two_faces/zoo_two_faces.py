"""Be two plugins with one module."""
