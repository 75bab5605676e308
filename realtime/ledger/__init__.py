"""Every query on our own tables."""
