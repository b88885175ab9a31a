"""Canvases of real people: pictures of bodies and of faces put together, with what is known of each face."""
