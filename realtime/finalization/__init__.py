"""Finalizes complete scrape runs: core's batch import of a run, over files already imported."""
