"""`manage.py demo_realtime`: a scrape on its way from web pages to PostgreSQL, on one machine.

For people who want to see it work; nothing that runs in production imports it. The legislature and
everyone in it are invented.
"""
