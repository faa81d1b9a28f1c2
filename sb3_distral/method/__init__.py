"""The mathematics, on tensors: the paper's equations, costs and the tabular form."""
