"""Files for stations: firmware that they fetch, diagnostics that they bring, and roll-outs over many of them."""
