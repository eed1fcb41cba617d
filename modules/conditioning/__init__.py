"""From prompt text to the tensors that guide a network."""
