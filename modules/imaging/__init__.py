"""Pictures outside the networks: reading, resizing, masks, metadata, names and files."""
