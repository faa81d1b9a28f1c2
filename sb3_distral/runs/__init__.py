"""A training as files."""
