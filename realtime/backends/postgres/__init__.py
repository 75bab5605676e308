"""PostgreSQL by a URL that a secret keeps: Django's backend, which reads it when it connects."""
