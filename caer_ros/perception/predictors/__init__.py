"""Networks as predictors: an image in, persons out."""
