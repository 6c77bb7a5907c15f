"""Weights from elsewhere: one importer for each foreign format."""
