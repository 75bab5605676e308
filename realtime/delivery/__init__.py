"""Tells receivers of changes."""
