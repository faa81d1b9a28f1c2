"""Networks of n tasks as one, and networks that remember."""
