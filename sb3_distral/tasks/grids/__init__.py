"""Suites of grid worlds as array programs."""
