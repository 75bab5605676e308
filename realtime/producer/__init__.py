"""The scraper's side: what is published, and what is kept until it can be."""
