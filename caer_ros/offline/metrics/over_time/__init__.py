"""Metrics over tracks and time."""
