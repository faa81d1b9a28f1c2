"""What π0 may see, and what it is worth on mazes never seen before."""
