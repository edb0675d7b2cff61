"""Four plugins that decide; each can be enabled alone."""
