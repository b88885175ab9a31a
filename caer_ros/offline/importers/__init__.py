"""Weights that others published become checkpoints of our own; nothing of theirs is ever run."""
