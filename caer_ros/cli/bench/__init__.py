"""``caer bench``: measure speed, tracking and training."""
