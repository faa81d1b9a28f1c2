"""Scales: mazes whose rewards differ by orders of magnitude, with and without normalised returns."""
