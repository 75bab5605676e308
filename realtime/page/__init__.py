"""The operators' page: what is late, what is stuck and why, and buttons that mend it.

Served by `site_settings.py`, or mounted in another Django site by `include("realtime.urls")`.
Nothing that imports files loads it.
"""
