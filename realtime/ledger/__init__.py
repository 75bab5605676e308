"""Queries on this project's own tables."""
