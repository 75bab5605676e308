"""Core's own importers, adapted to scrapes that come in pieces."""
