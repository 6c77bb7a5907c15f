"""Region pooling: from a feature map and boxes to one small grid per box."""
