"""Everything ever made: an index over the saved pictures, its search, lineage and bin."""
