"""``caer data``: check and make data sets."""
