"""The outside world: S3, SQS, PostgreSQL, and where their credentials come from."""
