"""Running a detector over a data set, and scoring what it found."""
