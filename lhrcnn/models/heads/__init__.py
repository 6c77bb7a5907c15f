"""The second stage: scores and boxes."""
