"""Columns with a memory: Distral with LSTM policies, on the recurrent roll-outs of sb3-contrib."""

from sb3_distral.recurrent.policies import RecurrentDistralPolicy
from sb3_distral.recurrent.recurrent_distral_a2c import RecurrentDistralA2C

__all__ = ["RecurrentDistralA2C", "RecurrentDistralPolicy"]
