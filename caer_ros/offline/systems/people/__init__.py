"""A student for real people: the carried person detector as trunk and teacher, and a branch of its own for emotions."""
