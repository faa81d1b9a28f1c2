"""The number of tasks: more and more mazes with the same steps in all."""
