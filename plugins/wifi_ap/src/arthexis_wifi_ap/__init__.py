"""A Wi-Fi access point: guests behind a portal, or an uplink shared with a network, by NetworkManager."""
