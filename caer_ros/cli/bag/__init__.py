"""``caer bag``: look into recordings, annotate them, replay them."""
