"""Imports Open States scrapes object by object, minutes after each was scraped."""
