"""pytest plugin: loaded in every test run of an environment that has arthexis-host."""
