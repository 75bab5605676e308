"""One import run."""
