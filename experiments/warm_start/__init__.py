"""PPO on single unseen mazes, with and without a start from π0: where that helps, and where it does not."""
