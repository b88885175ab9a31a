"""``caer demo``: the real node on the demo bag, and a page of what came out."""
