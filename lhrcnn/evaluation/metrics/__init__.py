"""One module for each metric."""
