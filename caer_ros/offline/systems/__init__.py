"""Single-shot systems: a folder for each."""
