"""Networks as data: the graph, its layers, and the families that are recognised by their tensors."""
