"""``caer evaluate``: measure what a model perceives."""
