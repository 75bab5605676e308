"""Says which field of a file is wrong."""
