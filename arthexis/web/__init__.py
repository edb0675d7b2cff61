"""HTTP: the plain first page, the API, and the way in for stations."""
