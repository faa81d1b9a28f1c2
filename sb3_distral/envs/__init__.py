"""Tasks side by side in one vectorised environment."""
