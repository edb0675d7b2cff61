"""The shared domain: stations, connectors, id tags, transactions, meter values, messages. No OCPP version, no wire."""
