"""From a data set to batches of training and evaluation."""
