"""A Django database backend that reads its URL from a secret when it connects."""
