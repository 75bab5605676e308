"""What every process of ours sets up: its log lines and its threads."""
