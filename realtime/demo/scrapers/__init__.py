"""A folder of scrapers, laid out as in the openstates-scrapers repository; put it on PYTHONPATH."""
