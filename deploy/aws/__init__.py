"""For AWS."""
