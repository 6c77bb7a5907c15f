"""Using a trained detector: predict, draw, export."""
