"""What `make core-check` does: our importers against other releases of core."""
