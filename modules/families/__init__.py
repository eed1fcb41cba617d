"""What each Stable Diffusion family is, as data, and how a file is recognised by its tensors' shapes."""
