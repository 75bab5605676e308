"""The life of a stored file: fetched, archived, fetched again, sent again."""
