"""The picture that forms, and what is said beside it."""
