"""Values and their rules: no Django, no I/O."""
