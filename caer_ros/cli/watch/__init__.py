"""``caer watch``: see what a running node sees."""
