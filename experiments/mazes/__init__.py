"""Long runs on the first-person mazes, one of each algorithm, and a film of a trained agent."""
