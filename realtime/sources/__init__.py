"""Scraped objects that exist already, wherever they lie; none outside its place is read."""
