"""``caer models``: list, describe, verify and compare models."""
