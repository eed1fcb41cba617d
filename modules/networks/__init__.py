"""The neural networks, with the parameter names of the original checkpoints."""
