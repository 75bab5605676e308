"""`manage.py demo_realtime`: a scrape from web pages to PostgreSQL, on one machine.

Production code never imports this package. The legislature and its members are invented.
"""
