"""From files to models: catalog, hashes, a reader that trusts nothing, loader."""
