"""Adapters to S3, SQS and PostgreSQL, and the secret that holds the database's password."""
