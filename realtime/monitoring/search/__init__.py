"""Finds what somebody names in one box: a bill, a scrape run, a file, a name that matches nobody.

Every query uses an index, and none lists more than AT_MOST of anything.
"""
