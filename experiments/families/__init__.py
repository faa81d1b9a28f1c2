"""Several distilled policies, where tasks come in two families with opposite habits and where they do not."""
