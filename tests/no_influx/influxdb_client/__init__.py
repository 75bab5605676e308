"""An installation that has no client of InfluxDB."""

raise ImportError("there is no client of InfluxDB here")
