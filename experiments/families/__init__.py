"""Several distilled policies, where tasks come in two families that do opposite things and where they do not."""
