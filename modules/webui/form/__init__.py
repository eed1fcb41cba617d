"""Forms: their controls, and the ways from and to a request."""
