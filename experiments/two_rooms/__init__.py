"""Figure 3 of the paper: tabular Distral beside separate soft Q-learning, in two rooms that a corridor joins."""
