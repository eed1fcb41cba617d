"""How fast it is, beside diffusers on the same weights and the same work: ``python -m benchmarks``."""
