"""Files for deployment; not part of the package."""
