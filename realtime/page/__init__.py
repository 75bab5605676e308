"""The operators' page: lag, scrape runs and failures, with buttons to retry or discard.

`site_settings.py` serves it as a site of its own. `include("realtime.urls")` mounts it in another
Django site. Import runs never load this package.
"""
