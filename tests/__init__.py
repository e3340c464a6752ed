"""The tests; a package, since a library of the test group installs one of the same name."""
