"""The scraper's side: publishes scraped files, and spools those that cannot be sent."""
