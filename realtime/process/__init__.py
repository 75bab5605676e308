"""Logging and thread pools, shared by every process of the project."""
