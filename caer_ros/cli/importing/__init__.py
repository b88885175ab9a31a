"""``caer import``: make bundles of the weights that others published."""
