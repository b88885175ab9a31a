"""Recordings of a robot: what is in them, what is annotated in them, and what a node published in them."""
