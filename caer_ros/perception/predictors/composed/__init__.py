"""A chain of networks as one predictor: person, face, expression."""
