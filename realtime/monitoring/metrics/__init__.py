"""Metrics of import runs, for CloudWatch and InfluxDB."""
