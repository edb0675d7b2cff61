"""The roles of a node, one TOML file each; nothing here is ever imported to read them."""
