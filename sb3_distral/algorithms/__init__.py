"""Distral as Stable-Baselines3 algorithms."""
