"""Training: the embedded model from scratch, and what it needs to be made again."""
