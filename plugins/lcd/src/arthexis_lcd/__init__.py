"""A character display for a node: an HD44780 behind a PCF8574 on the I2C bus, and what is shown on it when."""
