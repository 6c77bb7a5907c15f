"""Commands on data sets: checking, drawing, splitting."""
