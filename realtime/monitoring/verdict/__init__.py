"""The verdict: whether imports go well, and if not what is wrong, since when and what mends it."""
