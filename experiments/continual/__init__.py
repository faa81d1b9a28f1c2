"""Continual learning: mazes that arrive in groups, one after the other, with and without rehearsal of π0."""
