"""Training: schedule, optimizer, weight average, logs and the loop that holds them together."""
