"""Random scrapes, delivered in every bad way there is, to be compared with the oracle."""
