"""Costs: how much the choice of 1/β matters, with fixed costs and with costs that a controller sets."""
