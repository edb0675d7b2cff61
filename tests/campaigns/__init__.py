"""Long campaigns as commands; the tests run their short forms."""
