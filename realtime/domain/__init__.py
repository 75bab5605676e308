"""Plain values: no Django, no I/O."""
