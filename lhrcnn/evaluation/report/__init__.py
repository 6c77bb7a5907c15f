"""What a model gets wrong, as one HTML file that needs nothing else, and its data."""
