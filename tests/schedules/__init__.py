"""Random scrapes in adverse delivery schedules, compared with the oracle."""
