"""A chain of four networks as one predictor."""
