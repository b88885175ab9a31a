"""What is true of recorded images: samples, where they are kept, and how people annotate them."""
