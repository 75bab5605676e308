"""What operators look at: reports, status, metrics and checks."""
