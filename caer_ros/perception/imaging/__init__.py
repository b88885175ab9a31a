"""Images: decoded, resized for a network, drawn on."""
