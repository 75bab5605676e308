"""The figures of import runs, for whoever draws them over time."""
