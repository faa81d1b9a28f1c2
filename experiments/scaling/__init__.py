"""The number of tasks: from 4 to 256 mazes with the same steps in all."""
