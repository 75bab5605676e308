"""Benchmarks of our imports beside core's batch import."""
