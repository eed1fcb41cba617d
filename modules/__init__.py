"""A browser studio for Stable Diffusion. The map of this package is docs/architecture.md."""
