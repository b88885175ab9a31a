"""Training for every system: configuration, loop, checkpoints and run folder."""
