"""The life of a stored file: fetch, archive, refetch and redrive."""
