"""``caer play``: publish recordings as a camera."""
