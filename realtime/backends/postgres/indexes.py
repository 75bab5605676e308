"""Indexes that migrations build while others write."""

from typing import Any

from django.contrib.postgres.operations import AddIndexConcurrently


class AddIndexAgain(AddIndexConcurrently):
    """Builds an index beside writers, also where an attempt that was interrupted has left it half
    built."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        schema_editor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {self.index.name}")
        super().database_forwards(app_label, schema_editor, from_state, to_state)
