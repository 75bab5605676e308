"""What operators look at: run reports, status, metrics and installation checks."""
