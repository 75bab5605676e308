"""Imports each scraped Open States object minutes after it was scraped."""
