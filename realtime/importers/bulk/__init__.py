"""Set-based importers: a fixed handful of statements for a batch."""
