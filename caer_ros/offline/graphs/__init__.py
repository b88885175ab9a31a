"""Networks as the graphs that a robot runs: pixels in, persons out."""
