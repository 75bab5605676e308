"""A folder of scrapers, as the openstates-scrapers repository has one: put it on PYTHONPATH."""
