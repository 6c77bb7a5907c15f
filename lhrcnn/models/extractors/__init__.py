"""RoI features, from maps and boxes."""
