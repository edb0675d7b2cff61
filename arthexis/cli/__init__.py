"""The command ``arthexis``: click groups, each imported when it is used."""
