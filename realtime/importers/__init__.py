"""Imports one scraped object at a time, in pieces of a scrape, with core's importers."""
