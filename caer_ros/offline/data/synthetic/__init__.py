"""Pictures of rendered people whose emotions are known, as data sets and bags; and the best possible scores on them."""
