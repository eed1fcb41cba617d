"""Settings: what the user can set, and what was said on the command line."""
