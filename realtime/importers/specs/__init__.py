"""The rules of each type, stated once for both importers: its rows, its references, its waits."""
