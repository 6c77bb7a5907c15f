"""The convolutional networks under both stages."""
