"""Data sets: reading them, checking them, and turning them into batches."""
