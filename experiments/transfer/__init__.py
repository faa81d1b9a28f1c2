"""Transfer: tasks never seen before, with and without the distilled policy of a training on others."""
